"""How far a benchmark has come, said on standard error; results go to standard output."""

import sys
import time

_began = time.monotonic()
_title = ""


def begin(title: str) -> None:
    """Count from now on, and put this before each line: which benchmark, of how many."""
    global _began, _title
    _began, _title = time.monotonic(), f"{title} "


def say(text: str) -> None:
    """Show a line: where the benchmark is, as ``round 3 of 9``."""
    print(f"[{_title}{time.monotonic() - _began:6.1f} s] {text}", file=sys.stderr, flush=True)
