"""Whether a store could be where its settings put it."""

import os
from pathlib import Path


def find_place_fault(path: Path) -> str | None:
    """Why a store cannot be opened or made there, None if it looks as if it could. Changes nothing.

    It does not open the file, which a running server may have in use.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        return f"{path.parent} is no folder"
    if path.is_dir():
        return f"{path} is a folder"
    # SQLite makes files of its own beside it.
    if not os.access(path.parent, os.W_OK | os.X_OK):
        return f"{path.parent} cannot be written to"
    if path.exists() and not os.access(path, os.R_OK | os.W_OK):
        return f"{path} cannot be written to"
    return None
