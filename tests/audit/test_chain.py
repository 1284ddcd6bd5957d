"""The chain: whatever is done to a line, a file or their order is seen, as far as a chain can see it."""

import json
from hashlib import sha256
from typing import Any

import pytest
from audit_log import AT, digest, lines, record, sealed
from hypothesis import given
from hypothesis import strategies as st

from wsserver.audit.chain import GENESIS, MAX_LINE, Chain, ChainFault, FileHead, read_line, seal
from wsserver.audit.record import AuditRecord

COUNT = 12


def check(found: list[bytes]) -> Chain:
    chain = Chain()
    for line in found:
        chain.take(read_line(line))
    return chain


def fault(found: list[bytes]) -> str:
    with pytest.raises(ChainFault) as caught:
        check(found)
    return str(caught.value)


def test_a_log_fits_together() -> None:
    log = lines(COUNT)
    chain = check(log)
    assert (chain.log, chain.file, chain.seq, chain.digest) == ("log_1", 1, COUNT, digest(log[-1]))


def test_a_hash_is_that_of_the_line_without_it() -> None:
    for line in lines(2):
        document = json.loads(line)
        claimed = document.pop("hash")
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        assert sha256(text.encode()).hexdigest() == claimed


def test_the_first_line_continues_nothing_and_names_the_log() -> None:
    head = json.loads(lines(1)[0])
    assert (head["log"], head["file"], head["first"], head["prev"]) == ("log_1", 1, 1, GENESIS)


TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SCALAR = (
    TEXT
    | st.integers(-(2**53), 2**53)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
)
DETAILS = st.dictionaries(
    TEXT, SCALAR | st.lists(SCALAR, max_size=4) | st.dictionaries(TEXT, SCALAR, max_size=3), max_size=5
)
RECORDS = st.builds(
    AuditRecord,
    seq=st.just(1),
    at=st.just(AT),
    action=TEXT,
    actor=TEXT,
    role=TEXT | st.none(),
    connection_id=TEXT | st.none(),
    patient_id=TEXT | st.none(),
    topic=TEXT | st.none(),
    right=TEXT | st.none(),
    outcome=st.sampled_from(["allowed", "refused"]),
    code=st.integers(1001, 1015) | st.none(),
    details=DETAILS | st.none(),
)  # fmt: skip


@given(RECORDS)
def test_a_record_has_one_spelling_and_is_read_as_it_was_written(written: AuditRecord) -> None:
    line, own = seal(written.encode(), GENESIS)
    assert line.count(b"\n") == 1
    entry = read_line(line)
    assert isinstance(entry.content, AuditRecord)
    assert entry.content.encode() == written.encode()
    assert (entry.previous, entry.digest) == (GENESIS, own)
    assert json.loads(line)["actor"] == written.actor


@given(st.dictionaries(TEXT, SCALAR, min_size=2, max_size=6), st.randoms())
def test_the_order_in_which_details_were_put_together_does_not_matter(
    details: dict[str, Any], dice: Any
) -> None:
    names = list(details)
    dice.shuffle(names)
    assert (
        record(1, details=details).encode()
        == record(1, details={name: details[name] for name in names}).encode()
    )


@given(st.data())
def test_no_byte_can_be_changed(data: st.DataObject) -> None:
    log = lines(COUNT)
    place = data.draw(st.integers(0, COUNT))
    at = data.draw(st.integers(0, len(log[place]) - 1))
    value = data.draw(st.integers(0, 255).filter(lambda one: one != log[place][at]))
    log[place] = log[place][:at] + bytes([value]) + log[place][at + 1 :]
    fault(b"".join(log).splitlines(keepends=True))


@given(st.integers(0, COUNT - 1), st.integers(1, 3))
def test_no_line_can_be_taken_out_but_at_the_end(first: int, count: int) -> None:
    log = lines(COUNT)
    del log[first : min(first + count, COUNT)]
    fault(log)


@given(st.integers(0, COUNT), st.integers(0, COUNT))
def test_no_two_lines_can_change_places(one: int, other: int) -> None:
    log = lines(COUNT)
    log[one], log[other] = log[other], log[one]
    if one == other:
        check(log)
    else:
        fault(log)


@given(st.integers(0, COUNT + 1), st.integers(0, COUNT))
def test_no_line_can_be_put_in_not_even_one_of_the_log(place: int, copied: int) -> None:
    log = lines(COUNT)
    log.insert(place, log[copied])
    fault(log)


@given(st.integers(1, COUNT))
def test_a_forged_line_breaks_the_chain_behind_it(place: int) -> None:
    log = lines(COUNT)
    before = digest(log[place - 1])
    (forged,) = sealed([record(place, actor="somebody-else").encode()], before)
    log[place] = forged
    if place < COUNT:
        assert "continue" in fault(log)
    assert check(log[: place + 1]).digest != check(lines(COUNT)[: place + 1]).digest


def test_a_chain_alone_does_not_see_an_end_that_was_cut_off_nor_one_written_anew() -> None:
    log = lines(COUNT)
    assert check(log[:5]).seq == 4
    anew = log[:5] + sealed(
        [record(seq, actor="eve").encode() for seq in range(5, COUNT + 1)], digest(log[4])
    )
    assert check(anew).seq == COUNT
    # What it cannot hide is that the hashes are others.
    assert check(anew).digest != check(log).digest


@pytest.mark.parametrize(
    "spelling",
    [
        b'{"seq":1,"at":"x","action":"a","actor":"b","outcome":"allowed"}',
        b'{"seq": 1,"at":"x","action":"a","actor":"b"}',
        b'{"at":"x","seq":1,"action":"a","actor":"b"}',
        b'{"seq":1,"seq":1,"at":"x","action":"a","actor":"b"}',
        b'{"seq":1,"at":"x","action":"a","actor":"b","more":1}',
        b'{"seq":1,"at":"x","action":"\\u0061","actor":"b"}',
        b'{"seq":"1","at":"x","action":"a","actor":"b"}',
        b'{"log":"l","file":1,"first":1}',
        b"[1]",
        b"nothing",
    ],
)
def test_a_record_that_is_spelt_otherwise_is_none_even_if_its_hash_is_right(spelling: bytes) -> None:
    line, _ = seal(spelling, GENESIS)
    with pytest.raises(ChainFault, match="spells a record"):
        read_line(line)


def test_a_line_must_end_and_must_not_be_endless() -> None:
    whole = lines(1)[1]
    for line in (whole[:-1], whole[:40], b""):
        with pytest.raises(ChainFault, match="incomplete"):
            read_line(line)
    with pytest.raises(ChainFault, match="longer than"):
        read_line(b"x" * (MAX_LINE + 1) + b"\n")
    with pytest.raises(ChainFault, match="prev and hash"):
        read_line(b"{}\n")


def test_a_file_continues_the_one_before() -> None:
    first = lines(3)
    second = lines(2, file=2, first=4, previous=digest(first[-1]))
    chain = check(first + second)
    assert (chain.file, chain.seq) == (2, 5)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"log": "log_2"}, "another log"),
        ({"file": 3}, "file 3, after file 1"),
        ({"first": 5}, "record 5, after record 3"),
        ({"previous": "1" * 64}, "continue"),
    ],
)
def test_a_file_that_does_not_is_refused(changes: dict[str, Any], reason: str) -> None:
    first = lines(3)
    facts = {"file": 2, "first": 4, "previous": digest(first[-1])}
    assert reason in fault(first + lines(1, **{**facts, **changes}))


def test_a_later_file_may_be_looked_at_by_itself_but_not_pass_for_the_first() -> None:
    later = lines(2, file=2, first=4, previous="1" * 64)
    assert check(later).seq == 5
    assert "nothing was before it" in fault(lines(2, file=2, first=4))
    assert "no file begins with one" in fault(lines(2)[1:])


def test_heads_are_spelt_in_one_way_as_well() -> None:
    head = FileHead(log="log_1", file=1, first=1, at=AT)
    assert head.encode() == b'{"log":"log_1","file":1,"first":1,"at":"2026-01-01T00:00:00.000Z"}'
