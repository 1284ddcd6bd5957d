"""Filters as the server uses them: checked, compiled once, shared."""

from collections.abc import Iterable, Mapping
from typing import Any

from wsserver.errors import FILTER_ERROR, ServerError
from wsserver.protocol.message import DEFAULT_MAX_SIZE, PublishedMessage, SeverityDefaults
from wsserver.protocol.topic import Topic
from wsserver.settings import FilterSettings
from wsserver_core.filters import FilterError, FilterInterner, FilterLimits, Program, compile_filter


class FilterEngine:
    """Turns what clients send into programs; equal filters share one."""

    def __init__(self, settings: FilterSettings) -> None:
        self.severities = _severities(settings)
        """What filters see as the severity of a message that has none."""
        self._interner = FilterInterner(_limits(settings))
        self._max_patterns = settings.max_patterns_per_connection
        self._sixteenths = 0
        self._users = 0

    def configure(self, settings: FilterSettings) -> None:
        """Take new bounds for filters to come; those in use stay."""
        self._interner.limits = _limits(settings)
        self.severities = _severities(settings)
        self._max_patterns = settings.max_patterns_per_connection

    @property
    def limits(self) -> FilterLimits:
        """The bounds of filters to come."""
        return self._interner.limits

    @property
    def average_complexity(self) -> float:
        """Of the filters of all subscriptions: conditions and connectives, a sixteenth for each value
        of a list, 5 for each pattern. 0.0 when there are none."""
        return round(self._sixteenths / 16 / self._users, 2) if self._users else 0.0

    def __len__(self) -> int:
        """Distinct filters in use."""
        return len(self._interner)

    def take(self, source: object) -> Program:
        """The program of a filter, held until ``give_back``. Raises ServerError 1008."""
        try:
            program = self._interner.intern(source)
        except FilterError as fault:
            raise _wire_error(fault) from None
        self._sixteenths += _sixteenths(program)
        self._users += 1
        return program

    def check_patterns(self, programs: Iterable[Program]) -> None:
        """Raise 1008 if these are too many distinct patterns for one connection.

        They are the dearest part of a filter: each is searched for in every message.
        """
        distinct = {pattern for program in programs for pattern in program.patterns}
        if len(distinct) > self._max_patterns:
            reason = f"more than {self._max_patterns} distinct patterns on one connection"
            raise _wire_error(FilterError("$regex", reason))

    def give_back(self, program: Program) -> None:
        """One user of the program less."""
        self._interner.release(program)
        self._sixteenths -= _sixteenths(program)
        self._users -= 1

    def validate(self, source: object) -> dict[str, Any]:
        """The filter in its normal form. Raises ServerError 1008; keeps nothing."""
        try:
            return compile_filter(source, self._interner.limits).source
        except FilterError as fault:
            raise _wire_error(fault) from None

    def published(self, body: dict[str, Any], topic: Topic | None = None) -> PublishedMessage:
        """A message as filters see it. Raises ServerError 1003, 1004."""
        return PublishedMessage(body, topic=topic, max_size=DEFAULT_MAX_SIZE, severities=self.severities)

    def matches(self, message: Mapping[str, Any], source: object, derived: Mapping[str, Any]) -> bool:
        """Whether a filter as a client would write it holds for a message. Raises ServerError 1008."""
        try:
            program = compile_filter(source, self._interner.limits)
        except FilterError as fault:
            raise _wire_error(fault) from None
        return program.matches(dict(message), dict(derived))


def _sixteenths(program: Program) -> int:
    """Its complexity in the smallest parts that there are, whose sum never drifts."""
    return int(program.complexity * 16)


def _limits(settings: FilterSettings) -> FilterLimits:
    return FilterLimits(
        max_bytes=settings.max_bytes,
        max_nodes=settings.max_nodes,
        max_depth=settings.max_depth,
        max_values=settings.max_values,
        max_pattern_bytes=settings.max_pattern_bytes,
        max_patterns=settings.max_patterns_per_connection,
    )


def _severities(settings: FilterSettings) -> SeverityDefaults:
    return SeverityDefaults(settings.severity_data, settings.severity_alert, settings.severity_by_type)


def _wire_error(fault: FilterError) -> ServerError:
    end = "" if fault.reason.endswith("?") else "."
    details = {"path": fault.path, "reason": fault.reason}
    return ServerError(FILTER_ERROR, f"Invalid filter: {fault.reason}{end}", details=details)
