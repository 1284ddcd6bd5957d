"""The peers deliver exactly once, and one that is missing or fails does not spoil the others' run."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
CROWD = 20


@pytest.fixture(autouse=True)
def benchmarks_can_be_built(
    require_tool: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    require_tool(shutil.which("cc") is not None, "a C compiler")
    monkeypatch.syspath_prepend(str(ROOT))


def peer_named(name: str) -> Any:
    from benchmarks.peers.registry import PEERS

    return next(peer for peer in PEERS if peer.name == name)


async def turns_of(peer: Any) -> list[Any]:
    """One at a time and at once, to a small crowd."""
    from benchmarks.peers.turn import PeerContestant, bring, play

    async with AsyncExitStack() as stack:
        arrived = await bring(peer, CROWD, None, stack)
        assert arrived.facts["connects_per_second"] > 0
        return [
            await play(
                PeerContestant(peer.name, arrived.running, arrived.audience, b'{"_meta":{},', joined), 20
            )
            for joined in (1, 16, 1)
        ]


def names() -> list[str]:
    sys.path.insert(0, str(ROOT))
    from benchmarks.peers.registry import PEERS

    sys.path.remove(str(ROOT))
    return [peer.name for peer in PEERS]


@pytest.mark.parametrize("name", names())
async def test_a_peer_that_is_there_delivers_exactly_once(name: str) -> None:
    peer = peer_named(name)
    if reason := peer.environment.missing():
        # Not require_tool: they are installed over the network when somebody measures, and not for tests.
        pytest.skip(f"{name}: {reason}")
    for turn in await turns_of(peer):
        assert turn.faults == {}
        assert turn.rate > 0
        assert turn.cost > 0
        # A head of four bytes, and what the peer's own protocol adds.
        assert 204 < turn.wire_bytes < 300
        assert 0 <= turn.client_share <= 1.1


async def test_websockets_delivers_exactly_once() -> None:
    """By the package that the tests have anyway, whether the peer's own environment is there or not."""
    from benchmarks.peers.environments import OwnPython

    peer = replace(peer_named("websockets, broadcast"), environment=OwnPython(("websockets",)))
    assert [turn.faults for turn in await turns_of(peer)] == [{}, {}, {}]


async def test_a_peer_costs_nothing_while_it_is_not_its_turn() -> None:
    from benchmarks.peers.turn import PeerContestant, bring, play

    peer = peer_named("aiohttp, await send_str")
    async with AsyncExitStack() as stack:
        arrived = await bring(peer, CROWD, None, stack)
        process = arrived.running.process

        def state() -> str:
            stat = Path(f"/proc/{process.process.pid}/stat").read_text()
            return stat.rpartition(")")[2].split()[0]

        assert state() == "T"
        contestant = PeerContestant(peer.name, arrived.running, arrived.audience, b'{"_meta":{},')
        await play(contestant, 2)
        assert state() == "T"
        # While it rests it uses no time, whatever it is sent.
        used = process.processor_seconds()
        arrived.running.publisher._commands.write(b"2 1 1 {}\n")
        await asyncio.sleep(0.05)
        assert process.processor_seconds() == used


@dataclass
class Clumsy:
    """Delivers for a while, and then does something that it should not."""

    fault: str
    calls: int = 0

    async def publish(self, template: bytes, first: int, count: int, joined: int) -> None:
        from benchmarks.peers.process import PeerDied

        self.calls += 1
        numbers = list(range(first, first + count))
        if self.calls > 2:
            if self.fault == "dies":
                self.process.process.kill()
                await self.process.process.wait()
                raise PeerDied("its process has ended")
            numbers = {"loses": numbers[1:], "reorders": [numbers[1], numbers[0], *numbers[2:]]}[self.fault]
        for number in numbers:
            await self.inner.publish(template, number, 1, 1)

    async def close(self) -> None:
        await self.inner.close()


class Wrapped:
    """An aiohttp peer with another publisher."""

    def __init__(self, fault: str) -> None:
        self._peer = peer_named("aiohttp, await send_str")
        self.name = f"one that {fault}"
        self.environment, self.speech = self._peer.environment, self._peer.speech
        self._fault = fault

    async def start(self) -> Any:
        running = await self._peer.start()
        clumsy = Clumsy(self._fault)
        clumsy.inner, clumsy.process = running.publisher, running.process
        return replace(running, publisher=clumsy)


class Missing:
    name, speech = "one that is missing", None

    class environment:  # noqa: N801 - stands for the attribute of that name
        @staticmethod
        def missing() -> str:
            return "it is nowhere to be found"

        @staticmethod
        def install() -> None:
            from benchmarks.peers.environments import NotInstalled

            raise NotInstalled("nobody has it")


class Stillborn(Wrapped):
    async def start(self) -> Any:
        from benchmarks.peers.process import PeerDied

        raise PeerDied("it does not start")


async def contest(*contenders: Any, rounds: int = 2, install: bool = False) -> dict[str, Any]:
    from benchmarks.suites import peers

    return await peers.peers(CROWD, rounds, contenders, install=install)


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own process is not to be kept to one processor."""
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.setattr("benchmarks.suites.peers.pin", lambda: None)


@pytest.mark.usefixtures("unpinned")
async def test_peers_that_fail_are_told_of_and_the_others_go_on() -> None:
    from benchmarks.suites import peers

    good = peer_named("aiohttp, gather")
    result = await contest(
        Wrapped("dies"), good, Missing(), Wrapped("loses"), Wrapped("reorders"), Stillborn("is born dead")
    )
    assert result["skipped"] == {"one that is missing": "it is nowhere to be found"}
    assert set(result["fallen"]) == {"one that dies", "one that loses", "one that is born dead"}
    assert "its process has ended" in result["fallen"]["one that dies"]
    assert "missing" in result["fallen"]["one that loses"]
    assert result["fallen"]["one that is born dead"] == "it does not start"
    for stage in result["modes"].values():
        whole = {name for name, one in stage["contestants"].items() if one["rounds"] == 2}
        assert whole >= {"ours", "C loop of send", "aiohttp, gather", "one that reorders"}
        assert stage["best_peer"] in stage["contestants"].keys() - {"ours", "C loop of send"}
        assert len(stage["ours_to_best_peer"]) == 2
        assert stage["contestants"]["aiohttp, gather"]["faults"] == {}
    faults = [stage["contestants"]["one that reorders"]["faults"] for stage in result["modes"].values()]
    assert any(one.get("disorder") for one in faults)
    shown = peers.table(result)
    assert "one that is missing was skipped: it is nowhere to be found" in shown
    assert "one that dies fell out:" in shown
    assert "disorder" in shown
    json.dumps(result)


class Babbling(Wrapped):
    """Prints a banner before its port."""

    async def start(self) -> Any:
        from benchmarks.peers.peer import _told_by_lines

        return await _told_by_lines([sys.executable, "-c", "print('welcome', flush=True)\ninput()"])


class Unreachable(Wrapped):
    async def start(self) -> Any:
        raise ConnectionRefusedError(111, "nobody listens")


@pytest.mark.usefixtures("unpinned")
async def test_a_peer_that_starts_otherwise_than_it_should_is_out() -> None:
    result = await contest(Babbling("babbles"), Unreachable("is not there"), rounds=1)
    assert result["fallen"] == {
        "one that babbles": r"it said b'welcome\n' and not its port",
        "one that is not there": "[Errno 111] nobody listens",
    }


async def test_a_load_client_that_says_nothing_is_the_end_of_its_peer_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from benchmarks.clients.load_client import LoadClient
    from benchmarks.peers.turn import Fell, PeerContestant, bring, play

    peer = peer_named("aiohttp, await send_str")

    async def silent(self: LoadClient) -> dict[str, Any]:
        raise TimeoutError

    async def confused(self: LoadClient) -> dict[str, Any]:
        raise RuntimeError("the load client said b''")

    async with AsyncExitStack() as stack:
        arrived = await bring(peer, CROWD, None, stack)
        contestant = PeerContestant(peer.name, arrived.running, arrived.audience, b'{"_meta":{},')
        monkeypatch.setattr(LoadClient, "report", silent)
        with pytest.raises(Fell, match=r"does not answer \(TimeoutError\)"):
            await play(contestant, 2)
        monkeypatch.setattr(LoadClient, "report", confused)
        with pytest.raises(Fell, match="the load client said b''"):
            await play(contestant, 2)


@pytest.mark.usefixtures("unpinned")
async def test_ours_is_measured_where_there_is_no_peer_at_all() -> None:
    from benchmarks.suites import peers

    result = await contest(Missing(), rounds=1, install=True)
    assert result["skipped"] == {"one that is missing": "nobody has it"}
    assert all("best_peer" not in stage for stage in result["modes"].values())
    assert "the best peer" not in peers.table(result)
    found = {one.name: one for one in peers.figures(result)}
    near = found["20 subscribers, one at a time: ours / C loop of send"]
    assert (near.aim, near.unjudged) == (None, "measured at 20, the aim is for 10,000")
    assert not any("best peer" in name for name in found)


@pytest.mark.usefixtures("unpinned")
async def test_figures_and_charts_have_everybody() -> None:
    from benchmarks.suites import peers

    result = await contest(peer_named("aiohttp, gather"), rounds=1)
    found = {one.name: one for one in peers.figures(result)}
    ahead = found["20 subscribers, bursts of 16: ours / best peer"]
    assert ahead.unjudged == "measured at 20, the aim is for 10,000"
    assert ahead.better == "more"
    assert found["20 subscribers, one at a time: aiohttp, gather"].unit == "deliveries/s"
    drawn = {chart.name: chart for chart in peers.charts(result)}
    assert set(drawn) == {"peers-one-at-a-time", "peers-bursts-of-16"}
    for chart in drawn.values():
        assert set(chart.places) == {"ours", "C loop of send", "aiohttp, gather"}
        values = list(chart.lines[0].values)
        assert values == sorted(values, reverse=True)
    shown = peers.table(result)
    places = [shown.index(f"  {name} ") for name in drawn["peers-one-at-a-time"].places]
    assert places == sorted(places)


def test_peers_runs_by_name_with_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "peers", "--quick", "--connections", "20", "--rounds", "1",
         "--json", str(target)],
        cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(target.read_text())["benchmarks"]["peers"]["result"]
    assert result["skipped"]["picows"] == "not installed (--install)"
    assert "picows is skipped: not installed (--install)" in done.stderr
    assert result["versions"]["aiohttp, gather"]["aiohttp"]
    assert result["fallen"] == {}
    for stage in result["modes"].values():
        assert {"ours", "C loop of send", "aiohttp, await send_str", "aiohttp, gather"} <= set(
            stage["contestants"]
        )
        assert all(not one["faults"] for one in stage["contestants"].values())
