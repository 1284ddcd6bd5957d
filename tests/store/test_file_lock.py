"""One file, one server."""

import subprocess
import sys
from pathlib import Path

import pytest

from wsserver.store.file_lock import FileInUse, FileLock, is_locked

CHILD = """
import sys
from pathlib import Path
from wsserver.store.file_lock import FileInUse, FileLock
lock = FileLock(Path(sys.argv[1]))
try:
    lock.take()
except FileInUse:
    print("in use")
else:
    print("taken")
"""


def ask_another_process(path: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


def test_only_one_has_it_in_this_process_and_in_others(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    lock, other = FileLock(path), FileLock(path)
    lock.take()
    lock.take()
    with pytest.raises(FileInUse):
        other.take()
    assert ask_another_process(path) == "in use"
    lock.release()
    lock.release()
    other.take()
    assert ask_another_process(path) == "in use"
    other.release()
    assert ask_another_process(path) == "taken"


def test_whoever_was_killed_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD + "sys.stdout.flush()\nsys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "taken"
        with pytest.raises(FileInUse):
            FileLock(path).take()
        child.kill()
    FileLock(path).take()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "none" / "store.db").take()


def test_the_lock_is_for_this_user_alone(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "store.db")
    lock.take()
    assert (tmp_path / "store.db.lock").stat().st_mode & 0o777 == 0o600
    lock.release()


def test_others_can_see_that_it_is_held_and_make_nothing_by_looking(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert not is_locked(path)
    assert list(tmp_path.iterdir()) == []
    lock = FileLock(path)
    lock.take()
    assert is_locked(path)
    lock.release()
    assert not is_locked(path)
