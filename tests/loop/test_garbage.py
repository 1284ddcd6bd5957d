"""A process that serves is seldom searched for garbage as a whole."""

import os
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

OLD_CYCLE = """
import gc
import weakref
from fake_clock import FakeClock
from wsserver.loop.garbage import leave_the_living_alone
from wsserver.loop.housekeeping import Housekeeping
class Knot:
    pass
clock = FakeClock()
housekeeping = Housekeeping(clock)
leave_the_living_alone(housekeeping)
knot = Knot()
knot.self = knot
gone = weakref.ref(knot)
gc.collect(1)
del knot
gc.collect(1)
clock.advance(3599)
housekeeping.tick()
assert gone() is not None
clock.advance(1)
housekeeping.tick()
assert gone() is None
"""

SERVER = """
import gc
import os
import signal
import sys
from wsserver.loop import garbage
from wsserver.settings import AuthSettings, Loaded, ServerSettings, Settings, ShutdownSettings
from wsserver.web.server import serve
garbage.FULL_EVERY = 0.1
def looked(phase, info):
    if phase == "stop" and info["generation"] == 2 and gc.get_freeze_count():
        gc.callbacks.clear()
        os.kill(os.getpid(), signal.SIGTERM)
gc.callbacks.append(looked)
settings = Settings(
    auth=AuthSettings(secret="a secret of this test that is long enough"),
    server=ServerSettings(port=0),
    shutdown=ShutdownSettings(notice=0.0),
)
sys.exit(serve(Loaded(settings=settings, origins={})))
"""


def run(script: str) -> None:
    # A process of its own: the collector is one for all.
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr


def test_what_comes_later_is_not_walked_over_again_and_again() -> None:
    run(SCRIPT)


def test_an_old_cycle_is_found_within_an_hour() -> None:
    run(OLD_CYCLE)


def test_the_server_looks_everywhere_now_and_then() -> None:
    run(SERVER)
