"""Whether a log was changed: told with the line and the reason, and no more than a chain can tell."""

from pathlib import Path

import pytest
from audit_log import digest, lines, record, sealed, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wsserver.audit.chain import GENESIS
from wsserver.audit.reading import BrokenLine
from wsserver.audit.verification import AnchorMissing, Verified, is_hash, verify

FIRST = lines(6)
SECOND = lines(4, file=2, first=7, previous=digest(FIRST[-1]))


def two_files(folder: Path) -> list[Path]:
    return [write(folder / "audit.jsonl", SECOND), write(folder / "audit.jsonl.000001", FIRST)]


def broken(paths: list[Path]) -> tuple[str, int, str]:
    with pytest.raises(BrokenLine) as caught:
        verify(paths)
    return caught.value.path.name, caught.value.number, caught.value.why


def test_a_whole_log_is_described(tmp_path: Path) -> None:
    assert verify(two_files(tmp_path)) == Verified(
        log="log_1", files=2, records=10, first=1, last=10, digest=digest(SECOND[-1]), follows=GENESIS
    )


def test_a_later_file_alone_says_what_it_follows(tmp_path: Path) -> None:
    found = verify(two_files(tmp_path)[:1])
    assert (found.first, found.last, found.follows) == (7, 10, digest(FIRST[-1]))


def test_a_file_in_between_that_is_missing_shows(tmp_path: Path) -> None:
    third = lines(1, file=3, first=11, previous=digest(SECOND[-1]))
    paths = [write(tmp_path / "one", FIRST), write(tmp_path / "three", third)]
    assert broken(paths) == ("three", 1, "begins file 3, after file 1")


def test_a_changed_byte_is_found_in_its_line(tmp_path: Path) -> None:
    changed = [*FIRST]
    changed[3] = changed[3].replace(b'"u3"', b'"u4"')
    name, number, why = broken([write(tmp_path / "log", changed)])
    assert (name, number) == ("log", 4)
    assert "changed" in why


def test_a_line_that_is_gone_put_in_or_moved_is_found(tmp_path: Path) -> None:
    path = tmp_path / "log"
    assert broken([write(path, FIRST[:3], FIRST[4:])])[1:] == (4, "is record 4, after record 2")
    assert broken([write(path, FIRST[:4], FIRST[2:])])[1:] == (5, "is record 2, after record 3")
    moved = [*FIRST[:2], FIRST[3], FIRST[2], *FIRST[4:]]
    assert broken([write(path, moved)])[1:] == (3, "is record 3, after record 1")
    assert broken([write(path, FIRST, SECOND)])[1] == 8


def test_a_torn_end_is_found(tmp_path: Path) -> None:
    _, number, why = broken([write(tmp_path / "log", FIRST[:-1], [FIRST[-1][:30]])])
    assert (number, "incomplete" in why) == (7, True)


def test_an_end_that_was_cut_off_shows_only_by_an_anchor(tmp_path: Path) -> None:
    path = write(tmp_path / "log", FIRST[:4])
    assert verify([path]).last == 3
    with pytest.raises(AnchorMissing):
        verify([path], digest(FIRST[-1]))
    assert verify([path], digest(FIRST[2])).anchored_at == 2


def test_a_log_that_was_written_anew_shows_only_by_an_anchor_beyond(tmp_path: Path) -> None:
    anew = FIRST[:3] + sealed([record(seq, actor="eve").encode() for seq in range(3, 7)], digest(FIRST[2]))
    path = write(tmp_path / "log", anew)
    assert verify([path]).last == 6
    assert verify([path], digest(FIRST[2])).anchored_at == 2
    for line in FIRST[3:]:
        with pytest.raises(AnchorMissing):
            verify([path], digest(line))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_with_the_anchor_of_its_end_no_change_of_a_log_goes_unseen(
    tmp_path: Path, data: st.DataObject
) -> None:
    whole = b"".join(FIRST)
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 400)))
    instead = data.draw(st.binary(max_size=40) | st.sampled_from(FIRST))
    changed = whole[:start] + instead + whole[end:]
    path = tmp_path / "log"
    path.write_bytes(changed)
    anchor = digest(FIRST[-1])
    if changed == whole:
        assert verify([path], anchor).last == 6
        return
    # What comes behind the anchor is not its matter, and a chain may well go on there.
    with pytest.raises((BrokenLine, AnchorMissing)):
        verify([path], anchor)


def test_a_hash_is_64_digits() -> None:
    assert is_hash("0" * 64)
    for text in ("", "0" * 63, "0" * 65, "g" * 64, "A" * 64):
        assert not is_hash(text)
