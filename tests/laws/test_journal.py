from pathlib import Path

import msgspec
import pytest

from laws.journal import Journal, Rights, Send, checksum, read_journals

SEND = Send(key="k1", publisher="p", topic="patient:1", patient="1", body={"key": "k1", "hr": 61.5}, at=1.0)
RIGHTS = Rights(user="u1", patients=None, asked=1.0, held=2.0)


def test_lines_are_read_as_they_were_written_from_every_journal_of_a_folder(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.journal") as first, Journal(tmp_path / "b.journal") as second:
        second.write(RIGHTS)
        first.write(SEND)
        # Handed over at once: whoever wrote it may be killed now.
        assert list(read_journals(tmp_path)) == [SEND, RIGHTS]


def test_a_journal_is_added_to_and_never_begun_again(tmp_path: Path) -> None:
    for line in (SEND, RIGHTS):
        with Journal(tmp_path / "a.journal") as journal:
            journal.write(line)
    assert list(read_journals(tmp_path)) == [SEND, RIGHTS]


def test_a_torn_line_is_an_error_and_not_passed_over(tmp_path: Path) -> None:
    with Journal(tmp_path / "a.journal") as journal:
        journal.write(SEND)
    file = tmp_path / "a.journal"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(msgspec.DecodeError):
        list(read_journals(tmp_path))


def test_a_checksum_is_of_the_content_and_not_of_its_order() -> None:
    assert checksum({"a": 1, "b": [1, 2]}) == checksum({"b": [1, 2], "a": 1})
    assert checksum({"a": 1}) != checksum({"a": 2})
    assert checksum({"b": [1, 2]}) != checksum({"b": [2, 1]})
