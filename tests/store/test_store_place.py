"""Where a store can be."""

from pathlib import Path

import pytest

from wsserver.store import store_place
from wsserver.store.store_place import find_place_fault


def test_a_folder_that_can_be_written_to_will_do(tmp_path: Path) -> None:
    assert find_place_fault(tmp_path / "store.db") is None
    (tmp_path / "store.db").touch()
    assert find_place_fault(tmp_path / "store.db") is None
    assert [one.name for one in tmp_path.iterdir()] == ["store.db"]


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    assert find_place_fault(tmp_path / "none" / "store.db") == f"{tmp_path}/none is no folder"
    assert find_place_fault(tmp_path) == f"{tmp_path} is a folder"


@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_cannot_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    # Not by the mode of a real file: tests may run as root, who may do everything.
    path = tmp_path / "store.db"
    path.touch()
    denied = tmp_path if which == "folder" else path
    monkeypatch.setattr(store_place.os, "access", lambda asked, mode: asked != denied)
    assert find_place_fault(path) == f"{denied} cannot be written to"


def test_a_relative_path_is_told_as_what_it_means(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_place_fault(Path("var/store.db")) == f"{tmp_path}/var is no folder"
