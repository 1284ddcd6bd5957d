"""A disk that forgets what was not synced, and one that fails: SQLite's files on it are real ones.

Every write, truncation and sync is kept in order. ``images`` are what could be left after the power
has gone at some moment: all that a sync had confirmed, and of the rest any part, in pieces of 512
bytes. After a sync that failed, what it should have written may be missing for ever, although the
files show it until they are opened anew: so do kernels.
"""

import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import apsw

SECTOR: Final = 512


@dataclass(slots=True)
class Step:
    """One change of a file."""

    file: str
    offset: int
    data: bytes | None
    """None cuts the file there; at -1 it removes it."""
    confirmed: int | None = None
    """How many steps there were when the disk confirmed it."""
    forgotten: bool = False
    """A sync failed that should have written it: no later one does."""
    gone: bool = False
    """The disk has been seen not to have it."""


@dataclass(slots=True)
class Disk:
    """Remembers what was done to it. ``fail`` is asked before each change and may raise."""

    steps: list[Step] = field(default_factory=list)
    fail: Callable[[str, str], None] | None = None
    dice: random.Random = field(default_factory=lambda: random.Random(0))
    syncs: bool = True
    """False confirms without syncing: a disk, or a setting, that lies."""

    def change(self, what: str, file: str) -> None:
        if self.fail is not None:
            self.fail(what, file)

    def sync(self, file: str) -> None:
        mine = [step for step in self.steps if step.file == file]
        waiting = [step for step in mine if step.confirmed is None and not step.forgotten]
        try:
            self.change("sync", file)
        except apsw.Error:
            for step in waiting:
                step.forgotten = True
            raise
        if self.syncs:
            if not any(step.confirmed is not None for step in mine):
                # With the first sync of a new log SQLite syncs the folder as well.
                waiting += [step for step in self.steps if step.data is None and step.offset < 0]
            for step in waiting:
                step.confirmed = len(self.steps)

    def opened(self, path: Path) -> None:
        """What was forgotten is now read from the disk, which has it or not."""
        mine = [step for step in self.steps if step.file == path.name]
        lost = [step for step in mine if step.forgotten and step.confirmed is None and not step.gone]
        share = self.dice.choice((0.0, 0.5, 1.0))
        for step in lost:
            step.gone = self.dice.random() < share
            step.confirmed = None if step.gone else len(self.steps)
        if lost:
            path.write_bytes(content_of(step for step in mine if not step.gone) or b"")

    def image(self, upto: int, dice: random.Random) -> dict[str, bytes]:
        """What may be left of each file when the power goes after that many steps.

        Whatever a sync confirmed by then is there; a sync in that very moment counts.
        """
        keep = dice.choice((0.0, 1.0, dice.random()))
        files: dict[str, list[Step]] = {}
        for step in self.steps[:upto]:
            kept = files.setdefault(step.file, [])
            if step.confirmed is not None and step.confirmed <= upto:
                kept.append(step)
            elif not step.gone and dice.random() < keep:
                kept.append(torn(step, dice))
        contents = {name: content_of(steps) for name, steps in files.items()}
        return {name: content for name, content in contents.items() if content is not None}


def content_of(steps: Iterable[Step]) -> bytes | None:
    """What a file holds after these; None if it is not there."""
    content: bytearray | None = None
    for step in steps:
        if step.data is None and step.offset < 0:
            content = None
            continue
        content = bytearray() if content is None else content
        content.extend(bytes(max(0, step.offset - len(content))))
        if step.data is None:
            del content[step.offset :]
        else:
            content[step.offset : step.offset + len(step.data)] = step.data
    return None if content is None else bytes(content)


def torn(step: Step, dice: random.Random) -> Step:
    """The step, or its first sectors, of which the last may be half old and half noise."""
    if step.data is None or dice.random() < 0.5:
        return step
    data = step.data[: dice.randrange(len(step.data) // SECTOR + 1) * SECTOR]
    rest = step.data[len(data) : len(data) + SECTOR]
    if rest and dice.random() < 0.5:
        half = dice.randrange(len(rest))
        data += rest[:half] + dice.randbytes(len(rest) - half)
    return Step(step.file, step.offset, data)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else None
        if self._name is not None:
            disk.opened(Path(path))
        super().__init__("", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._name is not None:
            self._disk.change("write", self._name)
        super().xWrite(data, offset)
        if self._name is not None:
            self._disk.steps.append(Step(self._name, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        if self._name is not None:
            self._disk.change("truncate", self._name)
        super().xTruncate(newsize)
        if self._name is not None:
            self._disk.steps.append(Step(self._name, newsize, None))

    def xSync(self, flags: int) -> None:
        if self._name is not None:
            self._disk.sync(self._name)
        super().xSync(flags)


class DiskVFS(apsw.VFS):
    """The way to such a disk, under a name of its own; ``unregister`` it at the end."""

    _names: Iterator[int] = iter(range(10**9))

    def __init__(self, disk: Disk) -> None:
        self.name = f"disk-{next(self._names)}"
        self._disk = disk
        super().__init__(self.name, "")

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        steps = self._disk.steps
        steps.append(Step(Path(filename).name, -1, None, len(steps) + 1 if syncdir else None))

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, name, flags)
