"""The options of a client: when it comes back, how it notices a dead line, how much it keeps."""

from dataclasses import dataclass
from typing import Final, Literal

from wsserver.client.errors import InvalidOption

JitterMode = Literal["proportional", "full"]
QueueOverflow = Literal["drop-oldest", "drop-newest", "throw"]
CodecName = Literal["json", "binary", "auto"]

# Generous, and below what somebody writes who takes seconds for milliseconds: the JavaScript client
# counts its options of the same names in those.
_MOST_SECONDS: Final = {
    "initial_delay": 120.0,
    "max_delay": 3600.0,
    "heartbeat_interval": 3600.0,
    "heartbeat_timeout": 600.0,
    "connection_timeout": 600.0,
    "min_uptime": 3600.0,
}
_LEAST_SECONDS: Final = {"heartbeat_timeout": 0.001, "connection_timeout": 0.001}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectionConfig:
    """All options of a client. Times are in seconds. Raises InvalidOption, which names the option."""

    max_attempts: int = 10
    """Attempts to reconnect that may fail one after the other; 0 is without end."""
    initial_delay: float = 1.0
    """The wait before the first of them."""
    max_delay: float = 30.0
    """The longest wait, before jitter."""
    backoff_multiplier: float = 2.0
    """How many times longer each wait is than the one before it."""
    jitter_factor: float = 0.1
    """The share by which a wait is longer or shorter, drawn anew each time; from 0 to 1."""
    jitter_mode: JitterMode = "proportional"
    """``full``: anything from half a second to all of it. Better where thousands come back together."""
    heartbeat_interval: float = 30.0
    """Between two pings, which also move the cursor past what filters skip; 0 is none."""
    heartbeat_timeout: float = 10.0
    """How long the server may stay silent after a ping before the connection counts as dead."""
    connection_timeout: float = 10.0
    """From the attempt to ``connected``, ``get_token`` included; for the answer to a command as well."""
    enable_session_restore: bool = True
    """Show the session, so that subscriptions are restored. Without it a new connection has the
    ``subscriptions`` of the client and no others, and what was missed is told as a gap."""
    enable_message_replay: bool = True
    """Get what was missed. Without it subscriptions are made anew, and what was missed is told as a gap."""
    auto_reconnect: bool = True
    """Come back after the connection was lost."""
    min_uptime: float = 5.0
    """How long a connection must last for attempts to be counted from 0 again."""
    max_queue_size: int = 1000
    """Messages of ``queue_message`` that wait for a connection."""
    queue_overflow: QueueOverflow = "drop-oldest"
    """What to do with one more; ``throw`` raises OutboxFull."""
    max_send_rate: float = 40.0
    """Queued messages leave no faster than this a second (100 at once), to stay below the server's
    limit; 0 is at once."""
    max_pending_messages: int = 1000
    """Received messages that wait for your code. With more of them the socket is not read: the server
    holds back then, and tells what it had to drop."""
    max_pending_bytes: int = 16 * 1024 * 1024
    """The same in bytes as received."""
    max_message_size: int = 16 * 1024 * 1024
    """The largest message that is taken; a larger one ends the connection with 1009."""
    codec: CodecName = "json"
    """How messages travel; ``auto`` asks for binary and takes what the server has."""

    def __post_init__(self) -> None:
        for name, most in _MOST_SECONDS.items():
            self._check_number(name, _LEAST_SECONDS.get(name, 0.0), most, " seconds")
        self._check_number("backoff_multiplier", 1.0, 100.0)
        self._check_number("jitter_factor", 0.0, 1.0)
        self._check_number("max_send_rate", 0.0, 1e6)
        self._check_count("max_attempts", 0)
        for name in ("max_queue_size", "max_pending_messages", "max_pending_bytes", "max_message_size"):
            self._check_count(name, 1)
        self._check_choice("jitter_mode", "proportional", "full")
        self._check_choice("queue_overflow", "drop-oldest", "drop-newest", "throw")
        self._check_choice("codec", "json", "binary", "auto")

    def _check_number(self, name: str, least: float, most: float, unit: str = "") -> None:
        value = getattr(self, name)
        # Not a number compares as false, and so it is refused with the rest.
        if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
            raise InvalidOption(name, f"must be a number from {least:g} to {most:g}{unit}")

    def _check_count(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if type(value) is not int or value < least:
            raise InvalidOption(name, f"must be a whole number from {least} up")

    def _check_choice(self, name: str, *choices: str) -> None:
        if getattr(self, name) not in choices:
            raise InvalidOption(name, f"must be one of {', '.join(choices)}")
