"""Log output: one line per event, for people or for machines, never in the event loop's way.

Modules log to ``logging.getLogger("wsserver.…")`` as usual, and need not mind how often: what
repeats is held back here. Only the command line uses `logging_to`. An embedding backend keeps
its own configuration and may put `redact` into its formatters.
"""

import logging
import math
import os
import queue
import re
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from pythonjsonlogger.json import JsonFormatter

from wsserver.clock import Clock, SystemClock, utc_text
from wsserver.load.repeat_limit import RepeatLimit

MAX_WAITING_LINES: Final = 10_000
"""Lines that may wait for a slow terminal or pipe; later ones are dropped and counted."""

MAX_LINE: Final = 16 * 1024
"""Characters of one line."""

_STOP_TIMEOUT: Final = 2.0

_LOOK: Final = 1.0
"""Seconds between two looks of an idle writer for what was held back and must be told."""

# A JWT begins with the base64 of '{"', cut off or not; a bearer token follows its keyword;
# the rest is whatever stands behind a telling name in an address or in JSON, whose quotes
# are escaped once more when JSON stands in a JSON line.
_TOKENS: Final = re.compile(
    r"""
      eyJ[A-Za-z0-9_=-]{6,}(?:\.[A-Za-z0-9_=-]*){0,4}
    | (?P<bearer> (?:\bBearer\s+|wsserver\.bearer\.) ) [^\s"'\\,;]+
    | (?P<query> [?&;](?:token|access_token|secret|key)= ) [^\s"'\\&;\#]+
    | (?P<member> (?P<quote>\\{0,3}["'])(?:token|secret|password|authorization)(?P=quote)
                  \s*:\s* (?P=quote) ) [^"'\\]+
    """,
    re.VERBOSE | re.IGNORECASE,
)

# C0, DEL, C1, the line and paragraph separators, and what turns the direction of text.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

_PLAIN_FIELDS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogSettings(Protocol):
    """The ``logging`` section."""

    @property
    def level(self) -> str: ...
    @property
    def format(self) -> str: ...


def redact(text: str) -> str:
    """The text without tokens: the last defence, for no caller should log one."""
    return _TOKENS.sub(_redacted, text)


def _redacted(found: re.Match[str]) -> str:
    return f"{found['bearer'] or found['query'] or found['member'] or ''}[redacted]"


def escape_controls(text: str) -> str:
    """The text on one line: control characters become ``\\n``, ``\\x1b``, ``\\u2028``."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}… ({len(line)} characters)"


class TextFormatter(logging.Formatter):
    """``2026-01-01T00:00:00.000Z INFO wsserver.web: text name=value``, for people.

    A traceback follows on lines of its own, each marked with ``|`` so that no logged value
    can pass for an event.
    """

    def format(self, record: logging.LogRecord) -> str:
        head = f"{utc_text(record.created)} {record.levelname} {record.name}: {record.getMessage()}"
        fields = "".join(f" {name}={value}" for name, value in _extra_fields(record))
        lines = [_cut(escape_controls(redact(head + fields)))]
        if record.exc_info:
            trace = redact(self.formatException(record.exc_info))
            lines += [f"  | {_cut(escape_controls(line))}" for line in trace.split("\n")]
        return "\n".join(lines)


class JsonLineFormatter(JsonFormatter):
    """One JSON object per line: ts, level, logger, event, the record's extra fields, exception."""

    def __init__(self) -> None:
        # ASCII output escapes every control and separator character there is.
        super().__init__(json_ensure_ascii=True)

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        log_data["ts"] = utc_text(record.created)
        log_data["level"] = record.levelname.lower()
        log_data["logger"] = record.name
        log_data["event"] = _cut(redact(record.getMessage()))
        for name, value in _extra_fields(record):
            plain = isinstance(value, bool | int) or value is None
            log_data.setdefault(name, value if plain or _is_finite(value) else _cut(redact(str(value))))
        if "exc_info" in message_dict:
            log_data["exception"] = _cut(redact(str(message_dict["exc_info"])))


def _is_finite(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value)


def _extra_fields(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    for name, value in vars(record).items():
        if name not in _PLAIN_FIELDS and not name.startswith("_"):
            yield name, value


class _LineHandler(logging.Handler):
    """Formats where the event happens and hands the finished line over; drops it rather than wait."""

    def __init__(self, lines: "queue.Queue[str | None]", limit: RepeatLimit, descriptor: int) -> None:
        super().__init__()
        self.dropped = 0
        self._lines = lines
        self._limit = limit
        self._descriptor = descriptor

    def use_format(self, name: str) -> None:
        """Write in a format of the settings from now on."""
        text = name == "text" or (name == "auto" and os.isatty(self._descriptor))
        self.setFormatter(TextFormatter() if text else JsonLineFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._put_held_back(everything=False)
            if not self._limit.admits(record):
                return
            line = self.format(record)
        except Exception:  # whatever a value's own __str__ raises
            where = f"{record.filename}:{record.lineno}"
            line = self.warning("a log call does not fit its text", where=where)
        self._put(line)

    def tell_held_back(self, *, everything: bool = False) -> None:
        """Hand over the counts of what was held back in windows that are over, or in all. Any thread."""
        self.acquire()
        try:
            self._put_held_back(everything=everything)
        finally:
            self.release()

    def _put_held_back(self, *, everything: bool) -> None:
        for record in self._limit.due(everything=everything):
            self._put(self.format(record))

    def _put(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def warning(self, text: str, **fields: object) -> str:
        """A line about the log itself."""
        facts = {"name": "wsserver.log", "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
        return self.format(logging.makeLogRecord(facts | fields))


class _LineWriter(threading.Thread):
    """Writes lines to a descriptor.

    To the descriptor itself: a thread stuck inside ``sys.stderr`` holds its lock, and the
    interpreter could not end.
    """

    def __init__(self, lines: "queue.Queue[str | None]", descriptor: int, source: _LineHandler) -> None:
        super().__init__(name="wsserver-log", daemon=True)
        self._lines = lines
        self._descriptor = descriptor
        self._source = source
        self._told = 0

    def run(self) -> None:
        while True:
            try:
                line = self._lines.get(timeout=_LOOK)
            except queue.Empty:
                self._source.tell_held_back()
                continue
            self._tell_dropped()
            if line is None:
                return
            self._write(line)

    def stop(self) -> None:
        """Write what waits, for two seconds at most."""
        try:
            self._lines.put(None, timeout=_STOP_TIMEOUT)
        except queue.Full:
            return
        self.join(_STOP_TIMEOUT)

    def _tell_dropped(self) -> None:
        if lines := self._source.dropped - self._told:
            self._told += lines
            self._write(self._source.warning("log lines were dropped: output is slow", lines=lines))

    def _write(self, line: str) -> None:
        data = memoryview(f"{line}\n".encode("utf-8", "backslashreplace"))
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                return  # nobody reads any more, and there is no other place to say so


_handlers: Final[list[_LineHandler]] = []
"""The handlers of the `logging_to` blocks that run; the last one is in charge."""


def set_level(level: str) -> None:
    """Log from this level on: a name of the settings. Raises ValueError for any other."""
    logging.getLogger("wsserver").setLevel(level.upper())


def set_format(name: str) -> None:
    """Write lines in another format while a `logging_to` block runs; without one nothing happens."""
    for handler in _handlers[-1:]:
        handler.use_format(name)


@contextmanager
def logging_to(settings: LogSettings, descriptor: int = 2, *, clock: Clock | None = None) -> Iterator[None]:
    """Send every log line to a file descriptor, standard error by default, while the block runs.

    ``wsserver`` loggers log from the level of the settings on, others from WARNING on.
    What was configured before is back afterwards.
    """
    lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING_LINES)
    handler = _LineHandler(lines, RepeatLimit(clock or SystemClock()), descriptor)
    handler.use_format(settings.format)
    root, ours = logging.getLogger(), logging.getLogger("wsserver")
    handlers_before, levels_before = root.handlers[:], (root.level, ours.level)
    writer = _LineWriter(lines, descriptor, handler)
    writer.start()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    set_level(settings.level)
    _handlers.append(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        _handlers.remove(handler)
        root.handlers[:] = handlers_before
        root.setLevel(levels_before[0])
        ours.setLevel(levels_before[1])
        handler.tell_held_back(everything=True)
        writer.stop()
