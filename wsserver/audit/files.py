"""The files of one log: the one in use, and those before it that carry their number in their name."""

import re
from collections.abc import Iterator
from pathlib import Path


def numbered(path: Path, number: int) -> Path:
    """Where the file with this number is kept once the next one has been begun."""
    return path.with_name(f"{path.name}.{number:06d}")


def former_files(path: Path) -> list[tuple[int, Path]]:
    """The files that were in use before ``path``, with their numbers, oldest first. Raises OSError."""
    ending = re.compile(re.escape(path.name) + r"\.([0-9]{6,18})")
    found = []
    for one in path.parent.iterdir():
        match = ending.fullmatch(one.name)
        if match is not None:
            found.append((int(match[1]), one))
    return sorted(found)


def set_aside_name(path: Path, what: str, stamp: str) -> Path:
    """A name beside ``path`` that is not taken, for what is kept as evidence."""
    plain = f"{path.name}.{what}-{re.sub('[^0-9]', '', stamp)}"
    return next(one for one in _names(path, plain) if not one.exists())


def _names(path: Path, plain: str) -> Iterator[Path]:
    yield path.with_name(plain)
    number = 2
    while True:
        yield path.with_name(f"{plain}-{number}")
        number += 1
