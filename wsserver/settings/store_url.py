"""What ``store.url`` may be."""

from pathlib import Path
from typing import Final

MEMORY: Final = "memory:"
_SQLITE: Final = "sqlite:///"


class BadStoreUrl(ValueError):
    """It names no store; the text says what is expected."""


def store_path(url: str) -> Path | None:
    """The file of a ``sqlite:///PATH``, None for ``memory:``.

    As elsewhere a path after three slashes is relative to the working directory, and one after four
    is absolute. Raises BadStoreUrl for anything else; its text does not repeat the address, which may
    hold a password meant for another kind of store.
    """
    if url == MEMORY:
        return None
    path = url.removeprefix(_SQLITE)
    if path == url or not path or path.endswith("/") or "\0" in path or "?" in path:
        raise BadStoreUrl('must be "memory:" or "sqlite:///PATH" with the path of a file')
    return Path(path)
