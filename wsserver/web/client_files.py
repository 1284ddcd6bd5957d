"""The JavaScript client as it is served: its files, and the npm package of them.

All is read once, when the module loads, and answered from memory: no request names a path on the disk.
"""

import gzip
import io
import tarfile
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from wsserver.web.asset import Asset

PACKAGE: Final = "wsserver-client.tgz"
"""The name under which the npm package is served."""

_CONTENT_TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    # Declarations for compilers and editors; nothing that runs. ``.ts`` alone would be a video.
    ".ts": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    "": "text/plain; charset=utf-8",
}
_GZIP: Final = "application/gzip"

# What npm itself writes, for the same reason: one content is one file, byte by byte.
_MODIFIED: Final = 499_162_500


def content_type_of(name: str) -> str | None:
    """The type that belongs to a file of this name; None for one that is not served."""
    stem, dot, suffix = name.rpartition(".")
    # Others are nobody's business: a hidden file, what an editor left behind.
    return _CONTENT_TYPES.get(dot + suffix if dot else "") if stem or not dot else None


def _load() -> dict[str, Asset]:
    entries = sorted(files("wsserver").joinpath("client", "js").iterdir(), key=lambda entry: entry.name)
    typed = [(entry, content_type_of(entry.name)) for entry in entries if entry.is_file()]
    return {entry.name: Asset.of(kind, entry.read_bytes()) for entry, kind in typed if kind is not None}


CLIENT_FILES: Final[Mapping[str, Asset]] = _load()
"""Every file of the client by its name."""


@cache
def client_package() -> Asset:
    """The files as ``npm install URL`` takes them: a tarball in which they stand under ``package/``.

    Takes some milliseconds when asked for the first time.
    """
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, file in CLIENT_FILES.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size, entry.mode, entry.mtime = len(file.body), 0o644, _MODIFIED
            archive.addfile(entry, io.BytesIO(file.body))
    return Asset.of(_GZIP, gzip.compress(raw.getvalue(), mtime=0))
