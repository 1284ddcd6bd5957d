"""The address of the status page that ``run --dev`` prints, and its key."""

import re
from typing import Any

from http_request import request


async def test_the_printed_key_signs_in_once_and_stands_in_no_log(run: Any) -> None:
    child = await run("", "--port", "0", "--dev", secret=None)
    await child.listening()
    address = f"http://127.0.0.1:{child.port}"
    shown = re.search(r"^status page  (\S+)/ws/status#key=([A-Za-z0-9_-]{32})$", child.output, re.MULTILINE)
    assert shown is not None, child.output
    assert shown[1] == address
    headers = {"Origin": address}
    first = await request(child.port, "POST", "/ws/login", {"key": shown[2]}, headers=headers)
    assert (first.status, first.json["data"]["role"]) == (200, "operator")
    cookie = first.headers["set-cookie"].partition(";")[0]
    seen = await request(child.port, "GET", "/ws/connections", headers={"Cookie": cookie})
    assert seen.status == 200
    again = await request(child.port, "POST", "/ws/login", {"key": shown[2]}, headers=headers)
    assert again.status == 401
    child.process.terminate()
    assert await child.ended() == 0
    assert shown[2] not in child.log
    assert cookie.partition("=")[2] not in child.log


async def test_a_server_that_is_not_for_development_prints_none(run: Any) -> None:
    child = await run("", "--port", "0")
    await child.listening()
    assert "status page" not in child.output
    assert (await request(child.port, "POST", "/ws/login", {"key": "x"})).status == 401
