"""The status page as the server sees it: a browser that is signed in, without the browser."""

from typing import Any

from http_request import Answer
from live_server import LiveServer
from operator_accounts import PASSWORDS

from wsserver.audit.record import AuditRecord

COOKIE = "wsserver_operator"
ACTIONS = {
    "sign_in", "sign_in_refused", "sign_out", "reveal", "disconnect_connection", "disconnect_user",
    "drain", "cancel_drain", "emergency", "revoke",
}  # fmt: skip


class OperatorPage:
    """A sign-in with its cookie and the value that changes need."""

    def __init__(self, server: LiveServer, answer: Answer, cookie: str = COOKIE) -> None:
        assert answer.status == 200, answer
        self.server = server
        self.told: dict[str, Any] = answer.json["data"]
        self.set_cookie = answer.headers["set-cookie"]
        self.secret = self.set_cookie.partition(";")[0].partition("=")[2]
        self.cookie = f"{cookie}={self.secret}"

    @classmethod
    async def sign_in(cls, server: LiveServer, name: str = "olga", **how: Any) -> "OperatorPage":
        """Sign in with the password of one of ``operator_accounts``, or with ``token`` or ``key``."""
        body = how or {"name": name, "password": PASSWORDS[name]}
        return cls(
            server, await server.http("POST", "/ws/login", body, headers={"Origin": own_origin(server)})
        )

    @property
    def headers(self) -> dict[str, str]:
        """What the page sends with each request that changes something."""
        return {
            "Cookie": self.cookie,
            "Origin": own_origin(self.server),
            "Sec-Fetch-Site": "same-origin",
            "X-CSRF-Token": self.told["csrf_token"],
        }

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.server.http("GET", target, headers={"Cookie": self.cookie, **headers})

    async def post(self, target: str, body: Any = None, **headers: str | None) -> Answer:
        return await self.send("POST", target, body, **headers)

    async def send(self, method: str, target: str, body: Any = None, **headers: str | None) -> Answer:
        """As the page does it, with some headers changed, or left out where they are None."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in {**self.headers, **names}.items() if value is not None}
        return await self.server.http(method, target, body, headers=sent)


def noted(server: LiveServer) -> list[AuditRecord]:
    """What operators did, or were refused, by the audit; the newest first."""
    return [one for one in server.service.audit.latest() if one.action in ACTIONS]


def own_origin(server: LiveServer) -> str:
    """The origin of the server's own pages."""
    return f"http://127.0.0.1:{server.port}"
