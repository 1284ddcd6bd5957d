import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec
import pytest
from fake_clock import FakeClock

from wsserver.load.repeat_limit import ERRORS, WARNINGS, WINDOW
from wsserver.log import MAX_LINE, escape_controls, logging_to, redact, set_format, set_level
from wsserver.settings import LoggingSettings

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeS1zaWduYXR1cmU"
SIGNATURE = TOKEN.rpartition(".")[2]

logger = logging.getLogger("wsserver.test")


def written(
    log: Callable[[], object], form: str = "json", level: str = "info", clock: FakeClock | None = None
) -> list[str]:
    """The lines that reach a pipe while `log` runs."""
    reading, writing = os.pipe()
    parts: list[bytes] = []

    def drain() -> None:
        while part := os.read(reading, 65536):
            parts.append(part)

    reader = threading.Thread(target=drain)
    reader.start()
    try:
        with logging_to(LoggingSettings(level=level, format=form), writing, clock=clock):
            log()
    finally:
        os.close(writing)
        reader.join()
        os.close(reading)
    return b"".join(parts).decode().splitlines()


def test_json_is_one_object_per_line_with_the_fields_of_the_event() -> None:
    lines = written(
        lambda: logger.info("closed %s", "twice", extra={"code": 4005, "reason": "slow", "rtt": 1.5})
    )
    record = json.loads(lines[0])
    assert record.pop("ts").endswith("Z")
    assert record == {
        "level": "info", "logger": "wsserver.test", "event": "closed twice",
        "code": 4005, "reason": "slow", "rtt": 1.5,
    }  # fmt: skip


def test_text_is_one_line_with_the_fields_at_its_end() -> None:
    lines = written(lambda: logger.warning("closed", extra={"code": 4005}), "text")
    assert len(lines) == 1
    assert lines[0].endswith("Z WARNING wsserver.test: closed code=4005")


def test_auto_is_json_where_no_terminal_listens() -> None:
    assert json.loads(written(lambda: logger.info("x"), "auto")[0])["event"] == "x"


def test_auto_is_text_on_a_terminal() -> None:
    master, slave = os.openpty()
    try:
        with logging_to(LoggingSettings(format="auto"), slave):
            logger.info("hello")
        assert os.read(master, 1000).decode().rstrip().endswith("INFO wsserver.test: hello")
    finally:
        os.close(master)
        os.close(slave)


def test_the_level_holds_for_our_loggers_and_warnings_for_all_others() -> None:
    def log() -> None:
        logger.debug("ours")
        logging.getLogger("aiohttp.access").info("theirs")
        logging.getLogger("aiohttp.server").warning("their warning")

    assert [json.loads(line)["event"] for line in written(log, level="debug")] == ["ours", "their warning"]
    assert [json.loads(line)["event"] for line in written(log)] == ["their warning"]


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "hostile",
    ["a\r\nb", "\x1b[31mred", "\u2028\u2029", "\x00", "\x9b31m", "%s %d %(name)s", '"}\n{"level":"error"',
     "\u202e", "\ud800"],
)  # fmt: skip
def test_a_hostile_value_stays_on_its_line(form: str, hostile: str) -> None:
    lines = written(lambda: logger.info("name %s", hostile, extra={"agent": hostile}), form)
    assert len(lines) == 1
    assert lines[0].isprintable()
    if form == "json":
        assert json.loads(lines[0])["event"] == f"name {hostile}"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_has_a_greatest_length(form: str) -> None:
    lines = written(lambda: logger.info("%s", "x" * 1_000_000), form)
    assert len(lines) == 1
    assert len(lines[0]) < MAX_LINE + 200
    assert "characters)" in lines[0]


def fail(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("failed")


def test_an_exception_is_one_field_of_json() -> None:
    lines = written(lambda: fail("two\nlines"))
    assert len(lines) == 1
    record = json.loads(lines[0])
    assert record["exception"].endswith("ValueError: two\nlines")
    assert set(record) == {"ts", "level", "logger", "event", "exception"}


def test_an_exception_in_text_cannot_pass_for_an_event() -> None:
    lines = written(lambda: fail("x\n2026-01-01T00:00:00.000Z INFO wsserver: forged\x1b[0m"), "text")
    assert not lines[0].startswith("  | ")
    assert all(line.startswith("  | ") for line in lines[1:])
    assert lines[-1] == "  | 2026-01-01T00:00:00.000Z INFO wsserver: forged\\x1b[0m"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "message",
    [
        "token {}", "GET /ws/connect?token={} HTTP/1.1", "?a=b&token={}&c=d", "Authorization: Bearer {}",
        "Sec-WebSocket-Protocol: wsserver.v1.json, wsserver.bearer.{}", '{{"type":"connect","token":"{}"}}',
        '"{{\\"token\\": \\"{}\\"}}"', "({})", "{{'token': '{}'}}",
    ],
)  # fmt: skip
def test_no_token_reaches_a_log_line(form: str, message: str) -> None:
    def log() -> None:
        text = message.format(TOKEN)
        logger.info(text)
        logger.info("with %s", text, extra={"field": text})
        fail(text)

    text = "\n".join(written(log, form))
    assert "[redacted]" in text
    for part in TOKEN.split("."):
        assert part not in text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("?token=opaque-secret", "?token=[redacted]"),
        ("Bearer opaque.secret", "Bearer [redacted]"),
        ('{"secret": "opaque", "a": 1}', '{"secret": "[redacted]", "a": 1}'),
        (TOKEN[:20], "[redacted]"),
        ("the token bucket, topic key:1, eyJ", "the token bucket, topic key:1, eyJ"),
    ],
)
def test_a_secret_is_taken_out_and_nothing_else(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["\\", "eyJ", "Bearer ", '"token"', "?token=", " ", "eyJaaaaaa."])
def test_redaction_takes_time_in_proportion_to_the_text(unit: str) -> None:
    assert redact(unit * 100_000)


def test_control_characters_are_shown_escaped() -> None:
    assert escape_controls("a\nb\x1b\x9b\u2028ü") == "a\\nb\\x1b\\x9b\\u2028ü"


def test_a_call_that_does_not_fit_its_text_is_told_without_its_values() -> None:
    lines = written(lambda: logger.info("%d", "canary"))
    assert len(lines) == 1
    assert "canary" not in lines[0]
    assert json.loads(lines[0])["where"].startswith("test_log.py:")


def test_a_value_that_json_does_not_know_becomes_text() -> None:
    record = msgspec.json.decode(
        written(lambda: logger.info("x", extra={"a": float("nan"), "b": {1}, "c": None}))[0]
    )
    assert (record["a"], record["b"], record["c"]) == ("nan", "{1}", None)


def test_a_reader_that_does_not_read_holds_up_nobody_and_hears_what_it_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wsserver.log.MAX_WAITING_LINES", 300)
    monkeypatch.setattr("wsserver.log._STOP_TIMEOUT", 60.0)
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while os.write(writing, b"x" * 65536):
            pass
    received = bytearray()

    def drain() -> None:
        while part := os.read(reading, 65536):
            received.extend(part)

    reader = threading.Thread(target=drain)
    with logging_to(LoggingSettings(format="json"), writing):
        for number in range(400):
            logger.info("number %d", number)
        reader.start()
    os.close(writing)
    reader.join()
    os.close(reading)
    lines = received.lstrip(b"x").splitlines()
    notices = [json.loads(line) for line in lines if b"lines were dropped" in line]
    assert len(notices) == 1
    assert notices[0]["level"] == "warning"
    # One line more or less: the writer may hold one in its hand.
    assert 99 <= notices[0]["lines"] <= 100
    assert len(lines) - 1 + notices[0]["lines"] == 400


def test_a_reader_that_is_gone_does_not_matter() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        with logging_to(LoggingSettings(), writing):
            logger.info("nobody hears this")
    finally:
        os.close(writing)


def test_what_was_configured_before_is_back_afterwards() -> None:
    root, ours = logging.getLogger(), logging.getLogger("wsserver")
    before = root.handlers[:], root.level, ours.level
    written(lambda: None, level="debug")
    assert (root.handlers, root.level, ours.level) == before


def test_a_storm_of_one_warning_is_a_few_lines_and_a_number() -> None:
    def storm() -> None:
        for number in range(10_000):
            logger.warning("client %d is in trouble", number)
        logger.warning("another thing")
        logger.info("and one more")

    lines = [json.loads(line) for line in written(storm)]
    assert [line["event"] for line in lines[:WARNINGS]] == [
        f"client {number} is in trouble" for number in range(WARNINGS)
    ]
    assert [line["event"] for line in lines[WARNINGS:-1]] == ["another thing", "and one more"]
    assert lines[-1]["event"] == "held back, more of: client %d is in trouble"
    assert (lines[-1]["lines"], lines[-1]["level"]) == (10_000 - WARNINGS, "warning")


def test_what_was_held_back_is_told_before_the_next_line_after_the_window() -> None:
    clock = FakeClock()

    def log() -> None:
        for _ in range(WARNINGS + 1):
            logger.warning("again")
        clock.advance(WINDOW)
        logger.info("later")

    assert [json.loads(line)["event"] for line in written(log, clock=clock)] == (
        ["again"] * WARNINGS + ["held back, more of: again", "later"]
    )


@pytest.mark.timeout(20)
def test_what_was_held_back_is_told_when_nothing_else_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsserver.log._LOOK", 0.01)
    clock = FakeClock()
    reading, writing = os.pipe()
    with logging_to(LoggingSettings(format="text"), writing, clock=clock), os.fdopen(reading) as lines:
        for _ in range(WARNINGS + 2):
            logger.warning("again")
        for _ in range(WARNINGS):
            lines.readline()
        clock.advance(WINDOW)
        assert "held back, more of: again lines=2 seconds=10.0" in lines.readline()
    os.close(writing)


def test_a_storm_of_errors_keeps_the_numbers_of_the_first_incidents() -> None:
    def storm() -> None:
        for number in range(ERRORS * 2):
            logger.error("incident %d", number)

    lines = [json.loads(line) for line in written(storm)]
    assert len(lines) == ERRORS + 1
    assert lines[ERRORS - 1]["event"] == f"incident {ERRORS - 1}"
    assert lines[ERRORS]["lines"] == ERRORS


def test_at_debug_and_info_nothing_is_held_back() -> None:
    def log() -> None:
        for _ in range(200):
            logger.debug("small thing")
            logger.info("thing")

    assert len(written(log, level="debug")) == 400


def test_the_level_changes_at_run_time_and_the_block_still_ends_as_it_began() -> None:
    before = logging.getLogger("wsserver").level

    def log() -> None:
        logger.info("no")
        set_level("debug")
        logger.debug("yes")
        set_level("error")
        logger.warning("no")
        with pytest.raises(ValueError, match="LOUD"):
            set_level("loud")

    assert [json.loads(line)["event"] for line in written(log, level="warning")] == ["yes"]
    assert logging.getLogger("wsserver").level == before


def test_the_format_changes_at_run_time() -> None:
    def log() -> None:
        logger.info("one")
        set_format("text")
        logger.info("two")
        set_format("auto")
        logger.info("three")

    one, two, three = written(log)
    assert json.loads(one)["event"] == "one"
    assert two.endswith("INFO wsserver.test: two")
    assert json.loads(three)["event"] == "three"
    set_format("text")
