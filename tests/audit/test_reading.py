"""Files of a log, read in their order."""

from pathlib import Path

import pytest
from audit_log import digest, lines, write

from wsserver.audit.reading import BrokenLine, in_order, records


def test_files_are_read_as_they_follow_each_other_however_they_are_given(tmp_path: Path) -> None:
    first = lines(3)
    second = lines(2, file=2, first=4, previous=digest(first[-1]))
    paths = [write(tmp_path / "a", second), write(tmp_path / "b", first)]
    assert in_order(paths) == [tmp_path / "b", tmp_path / "a"]
    assert [one.seq for one in records(paths, lambda _: None)] == [1, 2, 3, 4, 5]


def test_a_line_that_cannot_be_believed_is_told_and_left_out(tmp_path: Path) -> None:
    log = lines(4)
    log[2] = log[2].replace(b"subscribe", b"unwatched")
    path = write(tmp_path / "log", log, [b'{"seq":5,"a'])
    amiss: list[BrokenLine] = []
    assert [one.seq for one in records([path], amiss.append)] == [1, 3, 4]
    assert [(one.number, one.path) for one in amiss] == [(3, path), (6, path)]
    assert "was changed" in str(amiss[0])


@pytest.mark.parametrize("content", [b"", b"nothing\n", lines(1)[1]])
def test_a_file_that_does_not_begin_as_a_log_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log").write_bytes(content)
    with pytest.raises(BrokenLine) as caught:
        in_order([tmp_path / "log"])
    assert caught.value.number == 1
