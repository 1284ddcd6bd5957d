"""How far a benchmark has come, said on standard error; results go to standard output."""

import sys
import time

_began = time.monotonic()


def say(text: str) -> None:
    """Show a line: where the benchmark is, as ``round 3 of 9``."""
    print(f"[{time.monotonic() - _began:6.1f} s] {text}", file=sys.stderr, flush=True)
