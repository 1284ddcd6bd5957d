"""How many connections there may be: in all, for one user, for one role."""

from collections import Counter
from collections.abc import Mapping

from wsserver.errors import CONNECTION_LIMIT, ServerError


class ConnectionLimits:
    """Seats, taken before anything is awaited and given back exactly once."""

    def __init__(
        self, max_connections: int, max_per_user: int, max_per_role: int | Mapping[str, int] | None
    ) -> None:
        self.max_connections = max_connections
        self.max_per_user = max_per_user
        self.max_per_role = max_per_role
        self.total = 0
        self.by_user: Counter[str] = Counter()
        self.by_role: Counter[str] = Counter()

    def check_instead(self, user_id: str, role: str, leaving: str) -> None:
        """The same for a connection that takes the place of another of this user, which has that role."""
        self.give_back(user_id, leaving)
        try:
            self.check(user_id, role)
        finally:
            self._count(user_id, leaving)

    def check(self, user_id: str, role: str) -> None:
        """Raise ServerError 1002 with the scope of the first limit that is reached."""
        role_limit = self.max_per_role
        # Not whether it is a Mapping: to ask for an abstract class takes longer than all else here.
        if role_limit is not None and not isinstance(role_limit, int):
            role_limit = role_limit.get(role)
        if self.total >= self.max_connections:
            scope = "global"
        elif self.by_user.get(user_id, 0) >= self.max_per_user:
            scope = "user"
        elif role_limit is not None and self.by_role.get(role, 0) >= role_limit:
            scope = "role"
        else:
            return
        raise ServerError(CONNECTION_LIMIT, details={"scope": scope}, retry_after_ms=5_000)

    def take(self, user_id: str, role: str) -> None:
        """Take a seat; raises ServerError 1002 and takes none when a limit is reached."""
        self.check(user_id, role)
        self._count(user_id, role)

    def _count(self, user_id: str, role: str) -> None:
        self.total += 1
        self.by_user[user_id] = self.by_user.get(user_id, 0) + 1
        self.by_role[role] = self.by_role.get(role, 0) + 1

    def give_back(self, user_id: str, role: str) -> None:
        """Give a seat back. Raises ValueError when none is taken."""
        if not self.total or not self.by_user[user_id] or not self.by_role[role]:
            raise ValueError("no such seat is taken")
        self.total -= 1
        for table, key in ((self.by_user, user_id), (self.by_role, role)):
            table[key] -= 1
            if not table[key]:
                del table[key]

    def move_role(self, old: str, new: str) -> None:
        """Count a connection under its new role. An open connection is never ended for a limit."""
        self.by_role[new] += 1
        self.by_role[old] -= 1
        if not self.by_role[old]:
            del self.by_role[old]
