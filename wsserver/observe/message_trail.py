"""One message on its way through the server while a trace is armed: when it came to each stage."""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Literal, Protocol, TypeAlias, get_args

import msgspec

from wsserver.clock import Clock
from wsserver.errors import AUTHENTICATION_FAILED, ServerError
from wsserver.ids import InvalidId, canonical_id
from wsserver.protocol.message import PublishedMessage
from wsserver.protocol.report import Counts, Durability
from wsserver.protocol.topic import Topic
from wsserver_core.outgoing import Frame
from wsserver_core.recipients import Recipients

Stage: TypeAlias = Literal[
    "received", "validated", "stored", "matched", "filtered", "encoded", "queued", "written"
]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

Door: TypeAlias = Literal["rest", "client", "python", "thread"]
"""How it came in: over HTTP, from a client's socket, or from this process, its loop or another thread."""


class Observer(Protocol):
    """Whoever asked for messages, as far as one on its way has to know."""

    def refused(self, trail: "Trail") -> None:
        """The message goes no further."""

    def prepare(self, trail: "Trail", frame: Frame, recipients: Recipients) -> None:
        """It is encoded and will be queued now."""

    def finish(
        self,
        trail: "Trail",
        message: PublishedMessage,
        frame: Frame,
        counts: Counts,
        recipients: Recipients,
        excluded: int,
    ) -> None:
        """It has been queued; ``excluded`` is its sender's handle, if that one does not get it, else 0."""


class Trail:
    """Where a message has been since it was received, in seconds of the monotonic clock.

    Used as a context it ends with the ServerError that refused the message, if one did. No repr: it
    would name users and patients.
    """

    __slots__ = (
        "_clock",
        "_observer",
        "at",
        "content",
        "counts",
        "door",
        "duplicate_of",
        "durability",
        "encodings",
        "ended",
        "error",
        "log",
        "message_id",
        "moments",
        "patient_id",
        "publisher",
        "size",
        "started",
        "target",
        "topic",
        "type",
        "watchers",
    )

    def __init__(
        self,
        clock: Clock,
        observer: Observer,
        door: Door,
        *,
        publisher: str | None = None,
        topic: Topic | None = None,
        content: object = None,
        started: float | None = None,
    ) -> None:
        """``content`` is what was brought, checked or not."""
        self._clock = clock
        self._observer = observer
        self.door = door
        self.publisher = publisher
        """Who brought it; None is the process itself, or not known."""
        self.at = clock.time()
        """Seconds since 1970 UTC."""
        self.started = clock.monotonic() if started is None else started
        self.moments: dict[Stage, float] = {}
        """Seconds since it was received, for each stage that it came to."""
        self.encodings: dict[str, tuple[float, int]] = {}
        """For each encoding that was needed: when it was done, and bytes of its frame."""
        self.topic = topic
        self.message_id: str | None = None
        self.type: str | None = None
        self.patient_id: str | None = None
        self.size: int | None = None
        self.log: str | None = None
        self.durability: Durability | None = None
        self.counts: Counts | None = None
        self.duplicate_of: str | None = None
        """The message that was sent when this one was brought first."""
        self.error: ServerError | None = None
        """Why it was refused."""
        self.ended = False
        """Whether it has been queued or refused."""
        self.target: int | None = None
        """The handle of the one connection that it is for, whatever that is subscribed to; 0 for none."""
        self.watchers: tuple[Any, ...] = ()
        """The traces that want it."""
        self.content: Any = None
        self.receive(content, self.started)

    def address(self, publisher: str, topic: Topic) -> None:
        """It is known by now who brings it, and where to."""
        self.publisher = publisher
        self.topic = topic

    def receive(self, content: object, started: float | None = None) -> None:
        """All of it is here now: time counts from this moment."""
        self.started = self._clock.monotonic() if started is None else started
        self.content = content

    def mark(self, stage: Stage) -> None:
        """It has come to this stage."""
        self.moments[stage] = self._clock.monotonic() - self.started

    def validate(self, topic: Topic, message: PublishedMessage) -> None:
        """It has passed every check."""
        self.topic = topic
        self.type = message.type
        self.patient_id = message.patient_id
        self.size = message.size
        self.mark("validated")

    def place(self, message_id: str, durability: Durability) -> None:
        """It has its id, and will be kept there."""
        self.message_id = message_id
        self.durability = durability

    def match(self, target: int | None = None) -> None:
        """It is known whom it is for. The index finds subscriptions and asks filters in one pass.

        ``target`` is the handle of the one that it is sent to, if that is so.
        """
        self.target = target
        self.mark("matched")
        self.moments["filtered"] = self.moments["matched"]

    def encode(self, encoding: str, size: int) -> None:
        """Its frame for those who speak this encoding is ready."""
        self.mark("encoded")
        self.encodings[encoding] = self.moments["encoded"], size

    def prepare(self, frame: Frame, recipients: Recipients) -> None:
        """It will be queued now."""
        self._observer.prepare(self, frame, recipients)

    def finish(
        self, message: PublishedMessage, frame: Frame, counts: Counts, recipients: Recipients, excluded: int
    ) -> None:
        """It has been queued."""
        self.ended = True
        self._observer.finish(self, message, frame, counts, recipients, excluded)

    @property
    def stage(self) -> Stage:
        """The last stage that it came to, or for one that was refused the one that it did not get through."""
        for stage in STAGES[1:]:
            if stage not in self.moments:
                return stage if self.error is not None else STAGES[STAGES.index(stage) - 1]
        return "written"

    def refuse(self, error: Exception) -> None:
        """It goes no further. Who may not even ask is nobody's publisher, and leaves no trace."""
        if isinstance(error, ServerError) and error.kind is not AUTHENTICATION_FAILED and not self.ended:
            self.error, self.ended = error, True
            if self.size is None:
                self._learn()
            self._observer.refused(self)

    def _learn(self) -> None:
        """Find out of what was never found valid as much as it says of itself."""
        content = self.content
        if isinstance(content, bytes):
            with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                content = msgspec.json.decode(content)
        if isinstance(content, dict):
            given = content.get("type")
            self.type = given if isinstance(given, str) else None
            self.patient_id = _patient(content.get("patient_id"))
        if self.topic is not None and self.topic.patient_id is not None:
            self.patient_id = self.topic.patient_id

    def refusing(self, fail: Callable[[Exception], None]) -> Callable[[Exception], None]:
        """The same as ``fail``, noted here first."""

        def refuse(error: Exception) -> None:
            self.refuse(error)
            fail(error)

        return refuse

    def duplicate(self, message_id: str) -> None:
        """Its publisher had brought it before: nothing is sent again."""
        self.duplicate_of, self.ended = message_id, True
        self._observer.refused(self)

    def __enter__(self) -> "Trail":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(fault, Exception):
            self.refuse(fault)


class NoTrail:
    """The context of a message that nobody looks for."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


NO_TRAIL: Final = NoTrail()


def _patient(given: object) -> str | None:
    try:
        return None if given is None else canonical_id(given)
    except InvalidId:
        return None
