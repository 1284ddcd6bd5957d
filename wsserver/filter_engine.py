"""Filters as the server uses them: checked, compiled once, shared."""

from collections.abc import Mapping
from typing import Any, Protocol

from wsserver.errors import FILTER_ERROR, ServerError
from wsserver_core.filters import FilterError, FilterInterner, FilterLimits, Program, compile_filter


class FilterBounds(Protocol):
    """The ``filter`` section of the settings."""

    @property
    def max_bytes(self) -> int: ...
    @property
    def max_nodes(self) -> int: ...
    @property
    def max_depth(self) -> int: ...
    @property
    def max_values(self) -> int: ...


class FilterEngine:
    """Turns what clients send into programs; equal filters share one."""

    def __init__(self, bounds: FilterBounds) -> None:
        self._interner = FilterInterner(_limits(bounds))

    def configure(self, bounds: FilterBounds) -> None:
        """Take new bounds for filters to come; those in use stay."""
        self._interner.limits = _limits(bounds)

    def __len__(self) -> int:
        """Distinct filters in use."""
        return len(self._interner)

    def take(self, source: object) -> Program:
        """The program of a filter, held until ``give_back``. Raises ServerError 1008."""
        try:
            return self._interner.intern(source)
        except FilterError as fault:
            raise _wire_error(fault) from None

    def give_back(self, program: Program) -> None:
        """One user of the program less."""
        self._interner.release(program)

    def validate(self, source: object) -> dict[str, Any]:
        """The filter in its normal form. Raises ServerError 1008; keeps nothing."""
        try:
            return compile_filter(source, self._interner.limits).source
        except FilterError as fault:
            raise _wire_error(fault) from None

    def matches(self, message: Mapping[str, Any], source: object, derived: Mapping[str, Any]) -> bool:
        """Whether a filter as a client would write it holds for a message. Raises ServerError 1008."""
        try:
            program = compile_filter(source, self._interner.limits)
        except FilterError as fault:
            raise _wire_error(fault) from None
        return program.matches(dict(message), dict(derived))


def _limits(bounds: FilterBounds) -> FilterLimits:
    return FilterLimits(
        max_bytes=bounds.max_bytes,
        max_nodes=bounds.max_nodes,
        max_depth=bounds.max_depth,
        max_values=bounds.max_values,
    )


def _wire_error(fault: FilterError) -> ServerError:
    return ServerError(
        FILTER_ERROR, f"Invalid filter: {fault.reason}.", details={"path": fault.path, "reason": fault.reason}
    )
