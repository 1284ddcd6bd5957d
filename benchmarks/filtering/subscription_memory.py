"""Memory: what one subscription adds to a process whose connections are there already.

Run as a process, with the number of connections and how many filters they have among them: it
prints the bytes of resident memory per subscription. Measured from Python it starts that process.
"""

import gc
import subprocess
import sys

from benchmarks.filtering.finders import LIMITS, PATIENT, handle
from benchmarks.machine import resident_bytes
from wsserver_core.filters import FilterInterner
from wsserver_core.scopes import Scope
from wsserver_core.topics import TopicIndex


def bytes_per_subscription(subscriptions: int, filters: int) -> float:
    """Measure it in a process of its own, which finds nothing of what others have left behind."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.filtering.subscription_memory", str(subscriptions), str(filters)],
        check=True,
        capture_output=True,
    )
    return float(done.stdout)


def main(subscriptions: int, filters: int) -> None:
    """Subscribe, one subscription per connection, and print what that took."""
    index = TopicIndex()
    interner = FilterInterner(LIMITS)
    scope = Scope(None)
    for slot in range(subscriptions):
        index.admit(handle(slot), scope, None)
    gc.collect()
    before = resident_bytes()
    for slot in range(subscriptions):
        source = {"severity": ["critical", "high"], "vitals.hr": {"$gt": slot % filters}}
        index.add(handle(slot), "patient", PATIENT, interner.intern(source), 0.0)
    gc.collect()
    print((resident_bytes() - before) / subscriptions)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
