"""The inbound benchmark counts only commands that were answered rightly, and sees every one that was not."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wsserver_core.frames import TEXT, FrameReader, ReadLimits, UnfinishedBudget, encode_close, encode_frame

ROOT = Path(__file__).parents[2]

Answer = Callable[[str, int], bytes]
"""The frames that answer the command with this id, which is the number so much of its connection."""


@pytest.fixture(autouse=True)
def clients_can_be_built(require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def pong(request_id: str, kind: str = "pong") -> bytes:
    return encode_frame(TEXT, b'{"type":"%b","request_id":"%b"}' % (kind.encode(), request_id.encode()))


MESSAGE = encode_frame(TEXT, b'{"_meta":{"seq":1},"n":0}')


@asynccontextmanager
async def server_that_answers(answer: Answer) -> AsyncIterator[tuple[int, list[dict[str, object]]]]:
    """Upgrades anybody, greets, and answers each command; gives its port and what it was told."""
    told: list[dict[str, object]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        writer.write(encode_frame(TEXT, b'{"type":"connected"}'))
        frames, number = FrameReader(ReadLimits(2**20, 2**20, 1), UnfinishedBudget(2**20)), 0
        while data := await reader.read(4096):
            for _, payload in frames.feed(data):
                command = json.loads(payload)
                told.append(command)
                writer.write(answer(command["request_id"], number))
                number += 1
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], told


async def speak(
    answer: Answer, *, connections: int = 1, window: int = 1, seconds: float = 0.02, **speech: object
) -> tuple[dict[str, object], list[dict[str, object]]]:
    from benchmarks.clients.inbound_client import PLACE, Speech, command, inbound_client

    said = Speech([command({"type": "ping", "t": PLACE}, "pong")], **{"message": b'{"_meta":', **speech})
    async with (
        server_that_answers(answer) as (port, told),
        inbound_client(port, said, core=None, window=window) as client,
    ):
        await client.connect(connections)
        return await client.run(seconds, timeout=2), told


def test_every_kind_of_command_is_answered_in_both_protocols(tmp_path: Path) -> None:
    from benchmarks.suites.inbound import figures, table

    target = tmp_path / "result.json"
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks", "inbound", "--connections", "20", "--rounds", "1",
            "--seconds", "0.05", "--json", str(target),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(target.read_text())["benchmarks"]["inbound"]["result"]
    kinds = ["ping", "subscribe, unsubscribe", "broadcast to 4", "aiohttp's echo"]
    shapes = [(stage["connections"], stage["window"]) for stage in result["stages"]]
    assert shapes == [(1, 1), (1, 32), (20, 1)]
    for stage in result["stages"]:
        assert list(stage["speakers"]) == [f"{kind}, {form}" for form in ("JSON", "binary") for kind in kinds]
        for name, one in stage["speakers"].items():
            assert one["commands"] >= stage["connections"]
            assert one["copies"] == (4 * one["commands"] if "broadcast" in name else 0)
            assert one["server_cpu_us_per_command"]["min"] > 0
            assert 0 < one["p50_us"]["median"] <= one["p99_us"]["median"]
        assert stage["speakers"]["aiohttp's echo, binary"]["rate_to_echo"]["median"] == 1
    assert len(figures(result)) == 3 * 6 * 3
    assert table(result).count("ping, JSON") == 3


def test_nobody_always_speaks_behind_the_same() -> None:
    from benchmarks.suites.inbound import in_turn

    assert [in_turn("abc", number) for number in range(4)] == ["cba", "abc", "cba", "abc"]


async def test_commands_are_numbered_and_placed() -> None:
    done, told = await speak(lambda request_id, _: pong(request_id), connections=4, window=3, group=2)
    assert done["answers"] == done["sent"] == len(told)
    # Of each connection from 0 on, two connections in a group.
    assert {one["t"] for one in told} == {"00000", "00001"}
    ids = [one["request_id"] for one in told]
    assert ids.count("00000000") == ids.count("00000002") == 4


async def test_no_percentile_passes_the_slowest_answer() -> None:
    # So few that the slowest is in the last hundredth.
    done, _ = await speak(lambda request_id, _: pong(request_id), seconds=0.001)
    assert 0 < int(str(done["p50_us"])) <= int(str(done["p99_us"])) <= int(str(done["max_us"]))


async def test_the_prologue_comes_first() -> None:
    from benchmarks.clients.inbound_client import Speech, command, inbound_client

    said = Speech(
        [command({"type": "ping"}, "pong")],
        [command({"type": "subscribe"}, "confirmed"), command({"type": "refresh"}, "refreshed")],
    )
    words = ["confirmed", "refreshed"]

    def answer(request_id: str, number: int) -> bytes:
        return pong(request_id, words[number] if number < 2 else "pong")

    async with server_that_answers(answer) as (port, told), inbound_client(port, said, core=None) as client:
        await client.connect(2)
        assert (await client.prepare(timeout=5))["answers"] == 4
        assert sorted(str(one["type"]) for one in told) == ["refresh"] * 2 + ["subscribe"] * 2
        await client.run(0.02, timeout=5)
        assert {one["type"] for one in told[4:]} == {"ping"}


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (lambda request_id, _: pong("0" * 7 + "9"), "1 errors.*00000009"),
        (lambda request_id, _: pong(request_id, "error"), "1 errors.*error"),
        (lambda request_id, _: encode_frame(TEXT, b'{"type":"pong"}'), "1 errors"),
        (lambda request_id, _: pong(request_id).replace(b"request_id", b"request_xx"), "1 errors"),
        (lambda request_id, _: pong(request_id) * 2, "1 errors"),
        (lambda request_id, _: encode_close(1008, "go"), "1 lost: go"),
        (lambda request_id, _: b"", "not all was answered in 2 s"),
    ],
    ids=["another's id", "an error", "no id", "the id elsewhere", "twice", "closed", "silence"],
)
async def test_a_wrong_answer_is_told(answer: Answer, fault: str) -> None:
    from benchmarks.clients.inbound_client import AnsweredWrong

    def once(request_id: str, number: int) -> bytes:
        return answer(request_id, number) if number == 0 else pong(request_id)

    with pytest.raises(AnsweredWrong, match=fault):
        await speak(once, seconds=0.01)


async def test_the_clock_stops_when_all_copies_have_come() -> None:
    from benchmarks.clients.inbound_client import AnsweredWrong

    done, _ = await speak(lambda request_id, _: pong(request_id) + MESSAGE * 2, copies=2)
    assert done["copies"] == 2 * int(str(done["answers"]))
    with pytest.raises(AnsweredWrong, match="not all was answered"):
        await speak(lambda request_id, _: pong(request_id) + MESSAGE, copies=2)


async def test_a_command_without_a_place_for_its_id_is_refused(tmp_path: Path) -> None:
    from benchmarks.clients.inbound_client import Command, Speech, inbound_client

    said = Speech([Command(TEXT, b'{"type":"ping"}', b"pong")])
    async with inbound_client(1, said, core=None) as client:
        assert await client._process.wait() == 2
