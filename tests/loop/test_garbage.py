"""A process that serves is seldom searched for garbage as a whole."""

import subprocess
import sys

SCRIPT = """
import gc
from wsserver.loop.garbage import leave_the_living_alone
before = gc.get_threshold()
leave_the_living_alone()
assert gc.get_freeze_count() > 1_000
assert gc.get_threshold() == (*before[:2], 1_000), gc.get_threshold()
full = []
gc.callbacks.append(lambda phase, info: full.append(info["generation"]) if phase == "stop" else None)
kept = [[] for _ in range(100_000)]
assert 1 in full and 2 not in full, full
"""


def test_what_comes_later_is_not_walked_over_again_and_again() -> None:
    # A process of its own: the collector is one for all.
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
