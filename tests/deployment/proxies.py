"""nginx and HAProxy as processes of a test, with the configuration that ``wsserver export`` writes."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

from self_signed import make_certificate

# Debian keeps them where an ordinary user's PATH does not look.
_PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
NGINX = shutil.which("nginx", path=_PLACES)
HAPROXY = shutil.which("haproxy", path=_PLACES)
TOOLS = {
    "nginx": (NGINX, "nginx (apt install nginx-light)"),
    "haproxy": (HAPROXY, "HAProxy (apt install haproxy)"),
}
PATIENCE = 20.0

_DEPLOYMENT = files("wsserver.deployment")


def write_configuration(proxy: str, folder: Path, *, port: int = 443, server: int = 8000) -> list[str]:
    """Put the exported configuration into a folder, with a certificate; returns the program's arguments.

    Of this machine's addresses only 127.0.0.1 is inside.
    """
    certificate, key = make_certificate(folder)
    if proxy == "nginx":
        text = _replaced(
            _DEPLOYMENT.joinpath("nginx.conf").read_text("utf-8"),
            {
                "/etc/nginx/wsserver.pem": str(certificate),
                "/etc/nginx/wsserver.key": str(key),
                "/var/log/nginx/wsserver.log": str(folder / "access.log"),
                "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
                "server 127.0.0.1:8000": f"server 127.0.0.1:{server}",
                "allow 127.0.0.0/8": "allow 127.0.0.1",
            },
        )
        (folder / "wsserver.nginx.conf").write_text(text)
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        (folder / "main.conf").write_text(
            f"pid {folder}/nginx.pid;\ndaemon off;\nerror_log {folder}/error.log;\nworker_processes 1;\n"
            "events { worker_connections 256; }\n"
            f"http {{\naccess_log off;\n{temporary}include {folder}/wsserver.nginx.conf;\n}}\n"
        )
        main, log = folder / "main.conf", folder / "error.log"
        return [str(NGINX), "-p", str(folder), "-e", str(log), "-c", str(main)]
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    text = _replaced(
        _DEPLOYMENT.joinpath("haproxy.cfg").read_text("utf-8"),
        {
            "/etc/haproxy/wsserver.pem": str(both),
            "bind :443": f"bind 127.0.0.1:{port}",
            "server one 127.0.0.1:8000": f"server one 127.0.0.1:{server}",
            "src 127.0.0.0/8": "src 127.0.0.1",
            # Sooner and smaller only for the test: a limit of descriptors may be too low for so many.
            "inter 2s": "inter 100ms",
            "maxconn 12000": "maxconn 500",
        },
    )
    (folder / "haproxy.cfg").write_text(text)
    return [str(HAPROXY), "-db", "-f", str(folder / "haproxy.cfg")]


def _replaced(text: str, changes: dict[str, str]) -> str:
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@contextlib.asynccontextmanager
async def running(proxy: str, folder: Path, server: int) -> AsyncIterator[int]:
    """The proxy in front of a server on this machine; gives the port at which it speaks TLS."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    arguments = write_configuration(proxy, folder, port=port, server=server)
    with (folder / "output.log").open("wb") as output:
        process = await asyncio.create_subprocess_exec(*arguments, stdout=output, stderr=subprocess.STDOUT)
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert process.returncode is None, (folder / "output.log").read_text()
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                await asyncio.sleep(0.02)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(PATIENCE):
            await process.wait()
        await asyncio.sleep(0)
