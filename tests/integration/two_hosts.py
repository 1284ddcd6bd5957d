"""Two hosts on one wire, which can be pulled: no FIN and no RST tells either end."""

import subprocess
from pathlib import Path
from typing import Self


class TwoHosts:
    """Two network namespaces on one wire, ``SERVER`` on one end and the clients on the other.

    Needs no rights but those of an unprivileged user in a namespace of its own.
    """

    SERVER = "10.99.0.1"

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[bytes]] = []

    @staticmethod
    def possible() -> bool:
        """Whether this kernel and this user may have them."""
        try:
            made = subprocess.run(
                ["unshare", "-rn", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
                capture_output=True, check=False,
            )  # fmt: skip
        except OSError:
            return False
        return made.returncode == 0

    def __enter__(self) -> Self:
        self._hold(["unshare", "-rn"], Path("/proc/self/ns/net"))
        self._hold([*self.on_server(), "unshare", "-n"], Path(f"/proc/{self._holders[0].pid}/ns/net"))
        here, there = self.on_server(), self.on_client()
        for command in (
            [*here, "ip", "link", "set", "lo", "up"],
            [*here, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
            [*here, "ip", "link", "set", "v1", "netns", str(self._holders[1].pid)],
            [*here, "ip", "addr", "add", f"{self.SERVER}/24", "dev", "v0"],
            [*here, "ip", "link", "set", "v0", "up"],
            [*there, "ip", "addr", "add", "10.99.0.2/24", "dev", "v1"],
            [*there, "ip", "link", "set", "v1", "up"],
        ):
            subprocess.run(command, check=True)
        return self

    def __exit__(self, *fault: object) -> None:
        for holder in self._holders:
            holder.kill()
            holder.wait()

    def on_server(self) -> list[str]:
        """The beginning of a command that runs on the server's host."""
        return self._within(0)

    def on_client(self) -> list[str]:
        """The beginning of a command that runs on the clients' host."""
        return self._within(1)

    def pull_the_plug(self) -> None:
        """Take the clients off the wire. No FIN and no RST tells the server."""
        subprocess.run([*self.on_client(), "ip", "link", "set", "v1", "down"], check=True)

    def _within(self, place: int) -> list[str]:
        pid = str(self._holders[place].pid)
        return ["nsenter", "-t", pid, "-U", "--preserve-credentials", "-n"]

    def _hold(self, command: list[str], outer: Path) -> None:
        """A process that keeps a namespace alive; its pid names it once it has left the outer one."""
        left = {outer.readlink(), Path("/proc/self/ns/net").readlink()}
        holder = subprocess.Popen([*command, "sleep", "infinity"])
        self._holders.append(holder)
        inner = Path(f"/proc/{holder.pid}/ns/net")
        while inner.readlink() in left or _name(holder.pid) != "sleep":
            assert holder.poll() is None, "no namespace"


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
