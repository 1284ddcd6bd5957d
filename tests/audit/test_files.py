"""The names of the files of a log."""

from pathlib import Path

from wsserver.audit.files import former_files, numbered, set_aside_name


def test_former_files_are_found_by_their_number_oldest_first(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number in (2, 10, 1, 1_234_567):
        numbered(path, number).touch()
    for name in (
        "audit.jsonl",
        "audit.jsonl.lock",
        "audit.jsonl.torn-2026",
        "other.jsonl.000003",
        "audit.jsonl.12",
    ):
        (tmp_path / name).touch()
    assert [number for number, _ in former_files(path)] == [1, 2, 10, 1_234_567]
    assert former_files(path)[0][1].name == "audit.jsonl.000001"


def test_what_is_set_aside_never_takes_a_name_that_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    names = []
    for _ in range(3):
        aside = set_aside_name(path, "torn", "2026-01-01T00:00:00.000Z")
        aside.touch()
        names.append(aside.name)
    plain = "audit.jsonl.torn-20260101000000000"
    assert names == [plain, f"{plain}-2", f"{plain}-3"]
