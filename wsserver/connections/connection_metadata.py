"""What is known of one open connection."""

from collections.abc import Callable
from typing import Protocol

from wsserver.access.principal import Principal
from wsserver.connections.told_gaps import ToldGaps
from wsserver.protocol.control import Control, Gap
from wsserver.protocol.encoding import Encoding
from wsserver.protocol.report import DeliveryReport
from wsserver_core.outgoing import Frame


class Link(Protocol):
    """The socket's side of a connection: ``wsserver_core.connection.Connection`` or a stand-in."""

    @property
    def handle(self) -> int:
        """Where the hub finds the queue of this connection."""
        ...

    def send_frame(self, frame: Frame) -> int:
        """Queue an encoded frame; 0 is success."""
        ...

    def close(self, code: int, reason: str = "", discard: int | None = None) -> bool:
        """Start the closing handshake."""
        ...

    def abort(self) -> None:
        """Drop the socket."""
        ...

    def pause_reading(self, reason: int) -> None:
        """Take nothing more from the client until this reason, and every other, is taken back."""
        ...

    def resume_reading(self, reason: int) -> None:
        """Take a reason to pause back."""
        ...

    @property
    def is_paused(self) -> bool:
        """Whether somebody here holds its reading back."""
        ...

    def throttle(self, seconds: float) -> int:
        """Do not read from the client for so long."""
        ...

    def spend(self, kind: int, cost: float) -> float:
        """Take from a bucket of this connection and return 0, or the seconds to wait for it."""
        ...

    def charge(self, kind: int, cost: float) -> float:
        """Take what is spent already; see ``wsserver_core.buckets``."""
        ...

    def spent(self, kind: int) -> float:
        """How much of a bucket is missing at present."""
        ...


class Lineage:
    """What the connections of one session have in common; ``handle`` is that of the present one."""

    __slots__ = ("handle",)

    def __init__(self, handle: int) -> None:
        self.handle = handle


class ConnectionMetadata:
    """One authenticated connection: who it is and since when. Its subscriptions are with the topic index.

    Thousands are alive at once, hence the slots. No repr: it would name users and patients.
    """

    __slots__ = (
        "awaiting",
        "binary_faults",
        "catch_up",
        "connected_at",
        "connection_id",
        "direct",
        "encoding",
        "expiry_due",
        "expiry_warned",
        "faults",
        "held",
        "leave",
        "lineage",
        "link",
        "owed",
        "patient_id",
        "principal",
        "resumed",
        "rights_changed_at",
        "rtt",
        "session",
        "told",
    )

    def __init__(
        self,
        connection_id: str,
        principal: Principal,
        link: Link,
        *,
        patient_id: str | None,
        encoding: Encoding,
        connected_at: float,
    ) -> None:
        self.connection_id = connection_id
        self.principal = principal
        self.link = link
        self.patient_id = patient_id
        """Whom the client said it is about: metadata, authorised, and no subscription by itself."""
        self.rights_changed_at: float | None = None
        """Monotonic seconds when it was last given other rights than it had; None if it never was."""
        self.encoding = encoding
        """How it is spoken to."""
        self.connected_at = connected_at
        """Monotonic seconds."""
        self.faults = 0
        """Commands of this client that were refused as malformed."""
        self.binary_faults = 0
        self.rtt: float | None = None
        """Seconds from the last answered ping to its pong."""
        self.expiry_due = 0
        """The wall-clock second at which its token is looked at next."""
        self.expiry_warned = False
        self.held: list[tuple[int, bytes]] | None = None
        """Frames that wait for a token, for the next turn or for the store; None while they need not."""
        self.awaiting: DeliveryReport | None = None
        """The report on its own broadcast of which it has not been told yet; older ones are done before."""
        self.leave: Callable[[], None] | None = None
        """Gives the place at the gate back when the socket is gone."""
        self.lineage: Lineage | None = None
        """What the connections of one session have in common; None while nobody needs to know."""
        self.session: bytes | None = None
        """The digest of its session's id; None while it has none."""
        self.resumed: object = None
        """How it took up a session, see ReconnectService; None if it did not."""
        self.owed: object = None
        """What its client has to be told once more unless it turns out to have heard it; None for nothing."""
        self.direct: tuple[int, int] | None = None
        """For each log the last message that was sent to it alone; None for none."""
        self.catch_up: object = None
        """How far it has caught up, see CatchUps; None once it has."""
        self.told: ToldGaps | None = None
        """The losses that its client was told of; None for none."""

    def take_lineage(self) -> Lineage:
        """What stands for this connection and for those that take its session up."""
        if self.lineage is None:
            self.lineage = Lineage(self.handle)
        return self.lineage

    def note_told(self, at: float, gap: Gap) -> None:
        """Its client is told of a loss; ``at`` is in seconds since 1970 UTC."""
        if self.told is None:
            self.told = ToldGaps()
        self.told.add(at, gap)

    def say(self, message: Control) -> int:
        """Queue a control message; 0 is success, else the hub's reason to refuse."""
        return self.link.send_frame(self.encoding.control(message))

    @property
    def protocol(self) -> str:
        """The subprotocol that it speaks."""
        return self.encoding.protocol

    @property
    def user_id(self) -> str:
        """The user, as the token says."""
        return self.principal.user_id

    @property
    def role(self) -> str:
        """The role, as the token says."""
        return self.principal.role

    @property
    def handle(self) -> int:
        """Where the hub finds its queue."""
        return self.link.handle
