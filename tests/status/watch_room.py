"""A server on a bench with those who watch it: the live feed with clock, loop and sockets moved by hand."""

from typing import Any

from far_end import FarEnd
from operator_accounts import ACCOUNTS, HASHES
from workbench import Workbench

from wsserver.operators.operator import SCOPES_BY_ROLE, Operator, OperatorRole
from wsserver.operators.sign_in_sessions import SignInSession
from wsserver.status.live_status import LiveStatus


class WatchRoom(Workbench):
    """The whole service with its live status."""

    def __init__(self, **sections: dict[str, Any]) -> None:
        operators = {"accounts": ACCOUNTS, **sections.pop("operators", {})}
        super().__init__(operators=operators, **sections)
        self.live = LiveStatus(self.service)
        self.gone = 0

    async def start(self) -> "WatchRoom":
        await super().start()
        self.service.started_at = self.clock.time()
        self.live.start(self.loop)
        return self

    def signed_in(self, name: str = "olga", role: OperatorRole = "operator") -> SignInSession:
        """Somebody who has signed in to an account."""
        operator = Operator(name, role, SCOPES_BY_ROLE[role], "password")
        return self.service.sign_in.sessions.begin(operator, HASHES[name]).session

    async def with_token(self, user: str = "grafana", scopes: str = "admin:read", **more: Any) -> Operator:
        """Somebody who brings a token in the handshake."""
        token = self.token(user, "admin", scopes=scopes.split(), **more)
        return Operator.of_token(await self.service.authenticator.authenticate(token))

    def knock(self, operator: Operator) -> FarEnd:
        """A socket whose handshake is done."""
        far_end = FarEnd(self.loop)
        connection = self.live.viewers.receive(self._gone)
        connection.attach(far_end, -1)
        self.live.viewers.welcome(connection, operator)
        self.loop.run()
        return far_end

    async def page(self, session: SignInSession | None = None, **connect: Any) -> FarEnd:
        """A status page that is in and has read its ``connected``."""
        session = session or self.signed_in()
        far_end = self.knock(session.operator)
        far_end.send(
            type="connect",
            **{"token": session.csrf_token, "user_id": session.operator.name, **connect},
        )
        await self.settle()
        assert far_end.take()[-1]["type"] == "connected"
        return far_end

    async def watching(self, *panels: str, **connect: Any) -> FarEnd:
        """A status page that follows some panels."""
        page = await self.page(**connect)
        for panel in panels:
            (answer,) = await self.ask(page, type="subscribe", topic=f"status:{panel}")
            assert answer["type"] == "subscription_confirmed"
        return page

    def second(self, seconds: float = 1.0) -> None:
        """Let time pass."""
        self.pass_time(seconds)

    def _gone(self) -> None:
        self.gone += 1
