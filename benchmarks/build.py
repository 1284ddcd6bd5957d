"""Compiles the benchmarks' C parts on demand, outside the source tree."""

import hashlib
import os
import subprocess
import tempfile
from pathlib import Path

_WARNINGS = ("-Wall", "-Wextra")


class NoCompiler(Exception):
    """What is written in C cannot be built; the text says what helps."""


def build(source: Path, *, shared: bool = False) -> Path:
    """Compile one C file, unless that has been done, and return what came of it.

    The result lies in a directory of this user's under the system's temporary one; its name
    follows from the source and the headers beside it, so that a change compiles anew. Raises
    NoCompiler, and subprocess.CalledProcessError when the compiler refuses.
    """
    # Whichever header it includes.
    text = b"".join(path.read_bytes() for path in (source, *sorted(source.parent.glob("*.h"))))
    directory = Path(tempfile.gettempdir()) / f"wsserver-benchmarks-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise PermissionError(f"{directory} is not ours")
    digest = hashlib.sha256(text).hexdigest()[:16]
    target = directory / f"{source.stem}-{digest}{'.so' if shared else ''}"
    if not target.exists():
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        kind = ("-shared", "-fPIC") if shared else ()
        compiler = os.environ.get("CC", "cc")
        try:
            subprocess.run([compiler, "-O2", *_WARNINGS, *kind, "-o", unfinished, source], check=True)
        except FileNotFoundError:
            raise NoCompiler(f"there is no C compiler ({compiler}): apt install gcc, or set CC") from None
        unfinished.replace(target)
    return target
