from typing import Final, final

from wsserver_core.fates import Fates

CONTROL: Final = 0
CRITICAL: Final = 1
ALERT: Final = 2
DATA: Final = 3

DROP_REASONS: Final[tuple[str, ...]]

@final
class Frame:
    """One encoded message, shared by every queue it stands in, with the count of its outcomes.

    ``wire`` are the bytes for connections that speak JSON, ``binary`` those for connections that
    speak the binary protocol; one of the two may be missing, and then no connection of that kind
    can be given this frame. Neither changes any more. Pings and the like, which are the same for
    all, have one object as both.

    At any moment: times queued so far = ``queued`` + ``written`` + the sum of ``dropped``.
    ``subject`` is whom it is about, for those who may lose the right to it while it waits.
    ``importance`` (CONTROL, CRITICAL, ALERT, DATA) decides what a queue gives up first.
    ``topic``, ``log`` and ``seq`` say where a published message stands, so that a client can be
    told of its loss; ``lane`` is the place of that log among a connection's positions, from 1, or
    0; ``time`` is that of its publication in microseconds since 1970. ``stream`` marks data of
    which only the newest matters to somebody who cannot keep up: a later frame of the same stream
    takes its place. ``accepted_at`` is when a broadcast was taken in, by the hub's stopwatch; 0.0 for
    what is not timed.

    It holds bytes, text and numbers only: letting go of one never runs anybody's code, so queues may do so
    in the middle of a walk.
    """

    def __init__(
        self,
        wire: bytes | None,
        subject: str | None = None,
        importance: int = 0,
        *,
        binary: bytes | None = None,
        topic: str | None = None,
        log: str | None = None,
        seq: int = 0,
        stream: str | None = None,
        lane: int = 0,
        time: int = 0,
        accepted_at: float = 0.0,
    ) -> None: ...
    @property
    def wire(self) -> bytes:
        """The bytes for connections that speak JSON. Raises ValueError if there are none."""

    @property
    def text(self) -> memoryview:
        """The JSON text in ``wire``, which must be one unmasked frame (RFC 6455 section 5.2)."""

    @property
    def binary(self) -> bytes | None: ...
    @property
    def subject(self) -> str | None: ...
    @property
    def importance(self) -> int: ...
    @property
    def topic(self) -> str | None: ...
    @property
    def log(self) -> str | None: ...
    @property
    def seq(self) -> int: ...
    @property
    def stream(self) -> str | None: ...
    @property
    def lane(self) -> int: ...
    @property
    def time(self) -> int: ...
    @property
    def queued(self) -> int: ...
    @property
    def written(self) -> int: ...
    @property
    def dropped(self) -> dict[str, int]:
        """How many connections lost it, by reason."""

    def watch(self, room: int = 100) -> Fates:
        """Note from now on what becomes of its copies; apart, of those that are sent once more."""

    def again(self, binary: bytes | None = None) -> Frame:
        """The same bytes and the same place once more, with counters of its own.

        ``binary`` are the bytes of the binary protocol, if this one lacks them.
        """

    def without_binary(self) -> Frame:
        """The same as ``again``, for connections that speak JSON alone."""
