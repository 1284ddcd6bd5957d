"""``wsserver audit`` on files."""

import json
from pathlib import Path
from typing import Any

import pytest
from audit_log import AT, digest, lines, record, sealed, write
from click.testing import CliRunner, Result

from wsserver.audit.chain import FileHead
from wsserver.cli import main


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["audit", *map(str, arguments)])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    texts = [FileHead(log="log_1", file=1, first=1, at=AT).encode()]
    facts: list[dict[str, Any]] = [
        {"patient_id": "7", "actor": "u1", "role": "nurse", "connection_id": "c_1", "right": "token"},
        {
            "patient_id": "7",
            "actor": "u2",
            "role": "porter",
            "connection_id": "c_2",
            "right": "patients",
            "outcome": "refused",
            "code": 1011,
        },
        {
            "patient_id": None,
            "topic": "patient:*",
            "actor": "u3",
            "role": "chief",
            "connection_id": "c_3",
            "right": "all_patients",
            "details": {"sees": "all"},
        },
        {
            "patient_id": "7",
            "actor": "u4",
            "role": "doctor",
            "connection_id": "c_4",
            "right": "break_glass",
            "details": {"reason": "an\u009bemergency"},
        },
        {"patient_id": None, "action": "disconnect", "actor": "u1", "connection_id": "c_1"},
        {"patient_id": None, "action": "reveal", "actor": "olga", "role": "operator"},
    ]
    for place, one in enumerate(facts):
        texts.append(record(place + 1, **{"at": f"2026-01-01T00:00:0{place}.000Z", **one}).encode())
    return write(tmp_path / "audit.jsonl", sealed(texts))


def test_a_whole_log_is_said_to_be_so(log: Path) -> None:
    done = run("verify", log)
    assert done.exit_code == 0
    assert done.output.splitlines()[0] == "log_1: 6 records, 1 to 6, fit together"
    head = done.output.splitlines()[1].removeprefix("hash ")
    assert len(head) == 64
    again = run("verify", "--anchor", head, log)
    assert again.exit_code == 0
    assert "up to record 6 nothing was changed" in again.output
    assert json.loads(run("verify", "--json", log).output) == {
        "whole": True,
        "log": "log_1",
        "files": 1,
        "records": 6,
        "first": 1,
        "last": 6,
        "hash": head,
        "from_the_beginning": True,
        "anchored_at": None,
    }


def test_a_log_that_was_changed_is_told_with_the_line_and_status_1(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"u3"', b'"u5"'))
    done = run("verify", log)
    assert done.exit_code == 1
    assert f"{log}:4: was changed" in done.output
    told = json.loads(run("verify", "--json", log).output)
    assert (told["whole"], told["line"], told["file"]) == (False, 4, str(log))


def test_an_anchor_that_is_not_in_it_is_status_1(log: Path) -> None:
    done = run("verify", "--anchor", "0" * 64, log)
    assert done.exit_code == 1
    assert "no line has the hash" in done.output
    assert json.loads(run("verify", "--json", "--anchor", "0" * 64, log).output)["whole"] is False


def test_a_file_from_the_middle_says_what_is_missing(tmp_path: Path) -> None:
    first = lines(2)
    later = write(tmp_path / "later", lines(1, file=2, first=3, previous=digest(first[-1])))
    assert f"should end with {digest(first[-1])}" in run("verify", later).output


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("verify", "/nowhere/at/all"),
        ("verify", "--anchor", "abc", __file__),
        ("query", "--patient", "not an id", __file__),
        ("query", "--from", "yesterday", __file__),
        ("nonsense",),
    ],
)
def test_what_was_asked_wrongly_is_status_2(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


def test_who_watched_a_patient_is_told(log: Path) -> None:
    done = run("query", "--patient", "7", log)
    assert done.exit_code == 0
    day = "2026-01-01T00:00"
    assert done.output.splitlines() == [
        f"u1 (nurse) watched from {day}:00.000Z to {day}:04.000Z (disconnected), c_1, by token",
        f"u3 (chief) could see by patient:* from {day}:02.000Z and still does, c_3, by all_patients",
        f"u4 (doctor) watched from {day}:03.000Z and still does, c_4, by break_glass: an\\x9bemergency",
        f"{day}:01.000Z refused: u2 (porter): subscribe lacks patients",
    ]
    assert run("query", "--patient", "8", "--user", "u1", log).output == "nobody\n"


def test_times_and_users_narrow_it(log: Path) -> None:
    found = json.loads(run("query", "--json", "--patient", "7", "--to", "2026-01-01T00:00:01Z", log).output)
    assert [one["user_id"] for one in found["watches"]] == ["u1"]
    assert [one["actor"] for one in found["refused"]] == ["u2"]
    found = json.loads(
        run("query", "--json", "--patient", "7", "--from", "2026-01-01T00:00:05Z", "--user", "u4", log).output
    )
    assert [one["user_id"] for one in found["watches"]] == ["u4"]
    assert found["refused"] == []


def test_records_are_listed(log: Path) -> None:
    assert run("query", "--action", "reveal", log).output == (
        "2026-01-01T00:00:05.000Z reveal olga operator\n"
    )
    refused = run("query", "--action", "subscribe", "--user", "u2", log).output
    assert refused == "2026-01-01T00:00:01.000Z subscribe u2 porter 7 c_2 patients refused with 1011\n"
    listed = json.loads(run("query", "--json", "--patient", "7", "--action", "subscribe", log).output)
    assert [one["seq"] for one in listed["records"]] == [1, 2, 4]
    assert run("query", "--action", "nothing", log).output == "no records\n"


def test_lines_that_cannot_be_believed_are_left_out_and_told(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b'"u3"', b'"u5"'))
    done = run("query", "--patient", "7", log)
    assert done.exit_code == 1
    assert f"left out: {log}:4" in done.output
    assert "u4 (doctor)" in done.output
