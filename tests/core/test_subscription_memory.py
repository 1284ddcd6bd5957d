"""A subscription costs 200 bytes at most when many share a filter: a promise of the project."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MOST_BYTES = 200


@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="a sanitizer takes memory of its own")
@pytest.mark.parametrize("case", ["patients", "one type"])
def test_a_subscription_with_a_shared_filter_is_small(case: str) -> None:
    path = os.pathsep.join([str(HERE.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "error", HERE / "subscription_memory_child.py", case],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads(done.stdout)
    each = figures["bytes"] / figures["subscriptions"]
    print(f"{case}: {each:.0f} bytes for each of {figures['subscriptions']} subscriptions")
    assert figures["subscriptions"] == 50_000
    # So much less than its row alone cannot be: then nothing was measured.
    assert 56 < each <= MOST_BYTES
