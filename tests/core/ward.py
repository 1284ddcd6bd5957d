"""A topic index with a short way to fill it and to ask it; a connection is named by its slot."""

from typing import Any

from wsserver_core.filters import FilterLimits, Program, compile_filter
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Selection, TopicIndex

LIMITS = FilterLimits()
ANYTHING = compile_filter(None, LIMITS)
HIGH = compile_filter({"severity": "high"}, LIMITS)
EVERYONE = Scope(None)


def handle(slot: int, generation: int = 9) -> int:
    return generation << 32 | slot


def seeing(*patients: str) -> Scope:
    return Scope(frozenset(patients))


def filter_of(source: dict[str, Any] | None) -> Program:
    """A program of its own: its counts begin at 0."""
    return compile_filter(source, LIMITS)


def address(topic: str) -> tuple[str, str]:
    """``patient:7`` written as the index has it; the target is * unless it is named."""
    kind, _, target = topic.partition(":")
    return kind, target or "*"


class Ward:
    def __init__(self) -> None:
        self.index = TopicIndex()
        self.out = Recipients()

    def admit(self, slot: int, scope: Scope = EVERYONE) -> None:
        self.index.admit(handle(slot), scope, f"owner {slot}")

    def subscribe(self, slot: int, topic: str, program: Program = ANYTHING, now: float = 0.0) -> int:
        """A subscription of a connection that is there."""
        return self.index.add(handle(slot), *address(topic), program, now)

    def add(self, slot: int, topic: str, scope: Scope = EVERYONE, program: Program = ANYTHING) -> int:
        """A connection that is admitted with its first subscription."""
        if self.index.owner(handle(slot)) is None:
            self.admit(slot, scope)
        return self.subscribe(slot, topic, program)

    def end(self, slot: int) -> None:
        """Everything a connection has, and the connection."""
        for number in self.index.numbers(handle(slot)):
            assert self.index.remove(number) is not None
        assert self.index.dismiss(handle(slot))

    def select(
        self,
        kind: str | None,
        target: str | None = None,
        patient: str | None = None,
        /,
        *,
        exclude: int = 0,
        **message: Any,
    ) -> tuple[list[int], Selection]:
        """The slots that a message reaches, and the counts; ``preview`` must say the same."""
        preview, numbers = self.index.preview(kind, target, patient, message, {}, exclude)
        counts = self.index.select(kind, target, patient, message, {}, self.out, exclude)
        reached = self.out.handles()
        assert preview == counts
        assert counts.considered == counts.matching + counts.filtered + counts.denied
        assert len(reached) == len(set(reached))
        if kind is not None:
            assert {self.index.record(number).handle for number in numbers} == set(reached)
        return sorted(found & 0xFFFFFFFF for found in reached), counts

    def reached(
        self, kind: str | None, target: str | None = None, patient: str | None = None, /, **message: Any
    ) -> list[int]:
        return self.select(kind, target, patient, **message)[0]

    def is_empty(self) -> bool:
        return set(self.index.sizes().values()) == {0}
