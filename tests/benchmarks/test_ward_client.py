"""The ward's viewers find what is missing, twice, out of order or not for them, in both encodings."""

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from wsserver_core.envelope import encode_control, encode_message
from wsserver_core.frames import BINARY, PING, TEXT, encode_close, encode_frame

ROOT = Path(__file__).parents[2]
COMMAND = '{"type":"subscribe","topic":"patient:p00001"}'
CYCLE = "EVEA"
"""Filter 0 lets all through, filter 1 what is no ECG."""
PLAN = f"cycle\t{CYCLE}\nward\t2\t4\nstarts\t0\t0\t0\t0\nfilter\t1111\nfilter\t0101\n"


@pytest.fixture(autouse=True)
def client_can_be_built(require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


class Json:
    protocol = "wsserver.v1.json"

    @staticmethod
    def control(**members: object) -> bytes:
        return encode_frame(TEXT, msgspec.json.encode(members))

    @staticmethod
    def message(seq: int, topic: str, body: dict[str, Any]) -> bytes:
        meta = {"id": "m_1", "topic": topic, "log": "abcd", "seq": seq, "ts": "2026-01-01T00:00:00.000Z"}
        return encode_frame(TEXT, msgspec.json.encode({"_meta": meta, **body}))


class Binary:
    protocol = "wsserver.v1.bin"

    @staticmethod
    def control(**members: object) -> bytes:
        return encode_frame(BINARY, encode_control(members, time=0))

    @staticmethod
    def message(seq: int, topic: str, body: dict[str, Any]) -> bytes:
        whole = {"_meta": {"id": "m_1", "log": "abcd"}, **body}
        return encode_frame(BINARY, encode_message(whole, topic=topic, seq=seq, time=0))


@pytest.fixture(params=[Json, Binary])
def encoding(request: pytest.FixtureRequest) -> Any:
    return request.param


class Script:
    """What a server says once its only viewer has subscribed."""

    def __init__(self, encoding: Any) -> None:
        self._encoding = encoding
        self._seq = 0
        self.said: list[bytes] = []

    def say(
        self, *numbers: int, device: int = 0, topic: str = "patient:p00001", at: int | None = None
    ) -> "Script":
        for number in numbers:
            self._seq += 1
            body = {"type": "ecg_data", "patient_id": "p00001", "device_id": f"monitor-{device}", "n": number}
            body |= {"at": time.monotonic_ns() if at is None else at, "data": list(range(50))}
            self.said.append(self._encoding.message(self._seq, topic, body))
        return self

    def repeat(self) -> "Script":
        self.said.append(self.said[-1])
        return self

    def swap(self) -> "Script":
        self.said[-2:] = self.said[:-3:-1]
        return self

    def gap(self, count: int, **members: object) -> "Script":
        told = {"topic": "patient:p00001", "from": 1, "to": 9, "count": count, "reason": "slow", **members}
        told = {name: value for name, value in told.items() if value is not None}
        return self.add(self._encoding.control(type="gap", log="abcd", **told))

    def add(self, frame: bytes) -> "Script":
        self.said.append(frame)
        return self


@asynccontextmanager
async def server_that_says(script: Script, encoding: Any) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """Says it when the event is set; then pings, and sets the other event when the pong is there."""
    now = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"Sec-WebSocket-Protocol: {encoding.protocol}\r\n".encode() in head
        assert b"Authorization: Bearer secret\r\n" in head
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + encoding.control(type="connected"))
        await reader.readexactly(6 + len(COMMAND))
        writer.write(encoding.control(type="subscription_confirmed"))
        await now.wait()
        for frame in script.said:
            writer.write(frame)
        writer.write(encode_frame(PING, b"all"))
        pong = await reader.read(100)
        now.clear()
        if pong:
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1], now


async def hear(
    script: Script,
    encoding: Any,
    directory: Path,
    *,
    filter_number: int = 0,
    slow: str = "-",
    patients: str = "1",
    final: Sequence[int] | None = None,
) -> dict[str, Any]:
    """What the client reports when it has heard all."""
    from benchmarks.clients.ward_client import ward_client

    plan = directory / "plan"
    viewer = ["viewer", "permanent", slow, encoding.protocol, str(filter_number), patients, "secret", COMMAND]
    plan.write_text(PLAN + "\t".join(viewer) + "\n")
    async with (
        server_that_says(script, encoding) as (port, now),
        ward_client(port, plan, core=None) as client,
    ):
        await client.open(1)
        await client.step(0, time.monotonic_ns() + 10**11, 0)
        if slow != "-":
            await client.settle()
        now.set()
        async with asyncio.timeout(10):
            while now.is_set():
                await asyncio.sleep(0.01)
        return await (client.report() if final is None else client.final(final))


FAULTS = ("missing", "told", "duplicates", "disorder", "foreign", "errors", "untold")


def faults(report: dict[str, Any]) -> dict[str, int]:
    return {name: report[name] for name in FAULTS if report[name]}


async def test_all_in_order_is_no_fault(encoding: Any, tmp_path: Path) -> None:
    script = Script(encoding).say(0, 1, 2, 3, 4).say(0, 1, device=1).say(5)
    report = await hear(script, encoding, tmp_path, final=[0, 6, 0, 2])
    assert faults(report) == {}
    assert report["deliveries"] == 8
    assert [report[name]["samples"] for name in ("ecg", "vitals", "alert", "all", "last")] == [4, 3, 1, 8, 8]


async def test_what_is_missing_counts_until_a_gap_tells_of_it(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0, 5), encoding, tmp_path)
    # Number 3 was an alert.
    assert faults(report) == {"missing": 4, "untold": 1}
    assert report["alerts_missing"] == 1
    report = await hear(Script(encoding).say(0).gap(4).say(5), encoding, tmp_path)
    assert faults(report) == {"missing": 4, "told": 4}


async def test_large_numbers_are_read(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(200, 300, 70_000), encoding, tmp_path)
    assert faults(report) == {"missing": 69_998, "untold": 1}
    report = await hear(Script(encoding).say(70_000).gap(70_000), encoding, tmp_path)
    assert faults(report) == {"missing": 70_000, "told": 70_000}


async def test_a_gap_must_tell_of_as_many_as_are_missing(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0).gap(3).say(5), encoding, tmp_path)
    assert faults(report) == {"missing": 4, "told": 3, "untold": 1}
    report = await hear(Script(encoding).say(0).gap(5).say(5), encoding, tmp_path)
    assert faults(report) == {"missing": 4, "told": 5, "untold": 1}


async def test_a_gap_counts_for_its_own_topic_only(encoding: Any, tmp_path: Path) -> None:
    other = "patient:p00000"
    script = Script(encoding).say(0).say(0, topic=other).say(2).gap(1, topic=other)
    report = await hear(script, encoding, tmp_path, patients="0,1")
    assert faults(report) == {"missing": 1, "told": 1, "untold": 1}
    report = await hear(Script(encoding).say(0, 2).gap(1, topic=other), encoding, tmp_path)
    assert faults(report) == {"missing": 1, "foreign": 1, "untold": 1}


async def test_a_gap_without_a_topic_counts_for_any(encoding: Any, tmp_path: Path) -> None:
    other = "patient:p00000"
    script = Script(encoding).say(0, 3).say(0, 2, topic=other).gap(1, topic=other).gap(2, topic=None)
    report = await hear(script, encoding, tmp_path, patients="0,1")
    assert faults(report) == {"missing": 3, "told": 3}
    script = Script(encoding).say(0, 3).say(0, topic=other).gap(1, topic=other).gap(1, topic=None)
    report = await hear(script, encoding, tmp_path, patients="0,1")
    assert faults(report) == {"missing": 2, "told": 2, "untold": 1}


async def test_what_is_missing_at_the_end_is_found(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0, 1), encoding, tmp_path, final=[9, 4, 9, 1])
    # Two of the first monitor, and the only one of the second. The other patient is not theirs.
    assert faults(report) == {"missing": 3, "untold": 1}


@pytest.mark.parametrize(
    "name", ["with spaces in it", f"{'long' * 50}/{'longer' * 40}"], ids=["spaces", "long"]
)
async def test_the_last_numbers_are_read_from_any_directory(encoding: Any, tmp_path: Path, name: str) -> None:
    directory = tmp_path / name
    directory.mkdir(parents=True)
    report = await hear(Script(encoding).say(0, 1), encoding, directory, final=[0, 4, 0, 0])
    assert faults(report) == {"missing": 2, "untold": 1}


async def test_the_first_ones_are_missed_too(encoding: Any, tmp_path: Path) -> None:
    assert faults(await hear(Script(encoding).say(2), encoding, tmp_path)) == {"missing": 2, "untold": 1}


async def test_a_message_that_comes_twice_is_found(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0, 1).repeat().say(2), encoding, tmp_path)
    # Its place in the log comes twice as well.
    assert faults(report) == {"duplicates": 1, "disorder": 1}
    report = await hear(Script(encoding).say(0, 1, 1, 2), encoding, tmp_path)
    assert faults(report) == {"duplicates": 1}


async def test_messages_out_of_order_are_found(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0, 1, 2).swap().say(3), encoding, tmp_path)
    # By number and by place in the log.
    assert faults(report) == {"disorder": 2}
    report = await hear(Script(encoding).say(0, 2, 1, 3), encoding, tmp_path)
    assert faults(report) == {"disorder": 1}


async def test_behind_a_filter_only_what_it_lets_through_is_missed(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(1, 3, 5, 9), encoding, tmp_path, filter_number=1)
    assert faults(report) == {"missing": 1, "untold": 1}
    report = await hear(
        Script(encoding).say(1, 3, 5), encoding, tmp_path, filter_number=1, final=[0, 7, 0, 1]
    )
    assert faults(report) == {}


async def test_what_the_filter_should_have_kept_back_is_found(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(1, 2, 3), encoding, tmp_path, filter_number=1)
    assert faults(report) == {"foreign": 1}


async def test_messages_of_strangers_are_found(encoding: Any, tmp_path: Path) -> None:
    script = Script(encoding).say(0, topic="patient:p00000").say(0, device=7).say(0)
    assert faults(await hear(script, encoding, tmp_path)) == {"foreign": 2}


async def test_no_number_is_so_large_that_it_is_taken_for_another(encoding: Any, tmp_path: Path) -> None:
    # Times two patients, or cut to 32 bits, each would be the viewer's own.
    script = Script(encoding).say(0, device=2**31).say(0, device=2**32).say(0, device=2**63)
    script.say(0, topic=f"patient:p{2**32 + 1}").gap(1, topic=f"patient:p{2**32 + 1}").say(0)
    report = await hear(script, encoding, tmp_path)
    assert faults(report) == {"foreign": 5}
    assert report["deliveries"] == 1


async def test_an_error_is_kept(encoding: Any, tmp_path: Path) -> None:
    script = Script(encoding).add(encoding.control(type="error", code=1011, name="permission_denied"))
    report = await hear(script, encoding, tmp_path)
    assert faults(report) == {"errors": 1}
    assert "permission_denied" in report["first_error"]


async def test_the_other_encoding_is_foreign(encoding: Any, tmp_path: Path) -> None:
    other = Json if encoding is Binary else Binary
    script = Script(encoding).add(other.control(type="hint"))
    assert faults(await hear(script, encoding, tmp_path)) == {"foreign": 1}


async def test_latencies_count_from_when_a_message_was_due(encoding: Any, tmp_path: Path) -> None:
    script = Script(encoding).say(0, at=time.monotonic_ns() - 5 * 10**9)
    report = await hear(script, encoding, tmp_path)
    assert 5e6 <= report["ecg"]["max_us"] <= 15e6
    # Buckets are 3 % wide, but nothing is later than the latest.
    assert 5e6 <= report["ecg"]["p50_us"] <= report["ecg"]["p99_us"] == report["ecg"]["max_us"]
    assert report["last"]["max_us"] == report["ecg"]["max_us"]


async def test_slow_viewers_have_no_say_in_latencies(encoding: Any, tmp_path: Path) -> None:
    report = await hear(Script(encoding).say(0, 2), encoding, tmp_path, slow="stops")
    assert (report["slow_deliveries"], report["deliveries"], report["all"]["samples"]) == (2, 0, 0)
    assert (report["slow_missing"], report["missing"]) == (1, 0)


async def test_a_close_is_counted_by_its_code(encoding: Any, tmp_path: Path) -> None:
    from benchmarks.clients.ward_client import ward_client

    script = Script(encoding).say(0, 2).add(encode_frame(8, encode_close(4005, "slow")[2:]))
    plan = tmp_path / "plan"
    viewer = ["viewer", "permanent", "-", encoding.protocol, "0", "1", "secret", COMMAND]
    plan.write_text(PLAN + "\t".join(viewer) + "\n")
    async with (
        server_that_says(script, encoding) as (port, now),
        ward_client(port, plan, core=None) as client,
    ):
        await client.open(1)
        await client.step(0, time.monotonic_ns() + 10**11, 0)
        now.set()
        async with asyncio.timeout(10):
            while not (report := await client.report())["closes"]:
                await asyncio.sleep(0.01)
    assert report["closes"] == {"4005": {"prompt": 1, "slow": 0}}
    assert report["untold_ended"] == 1
