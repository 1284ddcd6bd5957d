"""What a close code asks of a client (RFC 6455 section 7.4 and the bands of the protocol)."""

import enum
from typing import Final

NORMAL: Final = 1000
NO_STATUS: Final = 1005
ABNORMAL: Final = 1006
"""No close was seen: the line is cut or dead."""
COMING_BACK: Final = 4000
"""What this client closes with when it will come back: 1000 would end the session. The server has no
4000 of its own, and its band says what is meant."""
TOKEN_EXPIRED: Final = 4001
TOKEN_REFUSED: Final = 4501


class Verdict(enum.Enum):
    """What to do after a close."""

    RECONNECT = enum.auto()
    """After a wait; the server's advice counts where it gave one."""
    NEW_TOKEN = enum.auto()
    """The same, with a token that was fetched anew."""
    OTHER_TOKEN = enum.auto()
    """Only with another token than the one that was refused, and only once."""
    FINAL = enum.auto()
    """Do not come back."""


_FINAL: Final = frozenset({NORMAL, 1002, 1003, 1007, 1009})


def verdict(code: int) -> Verdict:
    """What to do after this close; codes that are not in any table are no reason to give up."""
    if code == TOKEN_EXPIRED:
        return Verdict.NEW_TOKEN
    if code == TOKEN_REFUSED:
        return Verdict.OTHER_TOKEN
    if code in _FINAL or 4500 <= code <= 4999:
        return Verdict.FINAL
    return Verdict.RECONNECT
