"""Connections that speak the binary protocol beside those that speak JSON, on the bench."""

import struct
from typing import Any

import msgspec
import pytest
from far_end import BINARY, TEXT, FarEnd
from workbench import Workbench

from wsserver.protocol.control import SystemShutdown
from wsserver.specification_metrics import specification_metrics
from wsserver_core.envelope import encode_control, encode_message

SAMPLES = {"type": "ecg_data", "data": [*range(20)], "v": 1.5}


@pytest.fixture
async def bench() -> Workbench:
    return await Workbench(inbound={"max_message_size_unauthenticated": 4096}).start()


async def both(bench: Workbench, *topics: str) -> tuple[FarEnd, FarEnd]:
    """One connection of each kind, with these subscriptions."""
    ends = await bench.client("u1", patients="*"), await bench.client("u2", patients="*", binary=True)
    for end in ends:
        for topic in topics:
            (answer,) = await bench.ask(end, type="subscribe", topic=topic)
            assert answer["type"] == "subscription_confirmed"
    return ends


def encoded(bench: Workbench) -> int:
    return bench.manager.binary.encoded


class TestPublishing:
    async def test_both_get_the_same_message_with_the_same_meta(self, bench: Workbench) -> None:
        in_json, in_binary = await both(bench, "patient:1")
        report = bench.manager.broadcast_to_patient(1, SAMPLES)
        await bench.settle()
        (first,), (second,) = in_json.take(), in_binary.take()
        assert first == second
        assert first == {"_meta": first["_meta"], **SAMPLES}
        assert set(first["_meta"]) == {"id", "topic", "log", "seq", "ts"}
        assert (report.matched, report.delivered, report.outcome()["written"]) == (2, 2, 2)
        kind, flags, sample_type = in_binary.frames[-1][1][1:4]
        assert (kind, flags, sample_type) == (2, 2, 1)

    async def test_a_message_is_encoded_once_for_all_of_them(self, bench: Workbench) -> None:
        ends = [await bench.client(f"u{number}", patients="*", binary=True) for number in range(3)]
        before = encoded(bench)
        report = bench.manager.broadcast_to_all({"v": 1})
        await bench.settle()
        assert (report.delivered, encoded(bench)) == (3, before + 1)
        assert [end.take()[0]["v"] for end in ends] == [1, 1, 1]
        assert len({end.frames[-1][1] for end in ends}) == 1

    async def test_it_is_not_encoded_when_none_of_them_gets_it(self, bench: Workbench) -> None:
        await both(bench, "patient:1")
        quiet = await bench.client("u3", patients="*", binary=True)
        quiet.send(type="subscribe", topic="patient:2", filters={"v": 7})
        await bench.settle()
        before = encoded(bench)
        assert bench.manager.broadcast_to_patient(2, {"v": 1}).matched == 0
        assert bench.manager.broadcast_to_patient(9, {"v": 1}).matched == 0
        assert encoded(bench) == before
        assert bench.manager.broadcast_to_patient(2, {"v": 7}).delivered == 1
        assert encoded(bench) == before + 1

    async def test_nothing_is_encoded_for_those_who_speak_json(self, bench: Workbench) -> None:
        await bench.client("u1", patients="*")
        bench.manager.broadcast_to_all({"v": 1})
        assert encoded(bench) == 0

    async def test_a_message_to_one_connection_has_its_form(self, bench: Workbench) -> None:
        for end in await both(bench):
            report = bench.manager.send_message(bench.owner(end).connection_id, {"v": 1})
            await bench.settle()
            assert report.delivered == 1
            assert end.take()[0]["v"] == 1

    async def test_the_instant_in_the_header_is_that_of_ts(self, bench: Workbench) -> None:
        bench.clock.wall = 1_767_225_600.999999
        _, end = await both(bench)
        bench.manager.broadcast_to_all({})
        await bench.settle()
        (time,) = struct.unpack_from("<q", end.frames[-1][1], 16)
        assert time == 1_767_225_600_999_999
        assert end.take()[0]["_meta"]["ts"] == "2026-01-01T00:00:00.999Z"

    async def test_foreign_websockets_are_spoken_to_in_json(self, bench: Workbench) -> None:
        _, websocket = bench.connect("u3")
        await bench.client("u4", patients="*", binary=True)
        bench.manager.broadcast_to_all({"v": 1})
        await bench.settle()
        assert websocket.take()[0]["v"] == 1

    async def test_new_settings_hold_from_the_next_message_on(self, bench: Workbench) -> None:
        _, end = await both(bench)
        settings = bench.manager.settings
        for fields, kind in ((("data",), 2), ((), 1)):
            binary = msgspec.structs.replace(settings.binary, sample_fields=fields)
            bench.manager.configure(msgspec.structs.replace(settings, binary=binary))
            bench.manager.broadcast_to_all(SAMPLES)
            await bench.settle()
            assert end.frames[-1][1][1] == kind


class TestCommands:
    async def test_commands_come_as_text_and_as_kind_3_and_answers_are_always_binary(
        self, bench: Workbench
    ) -> None:
        end = await bench.client("u1", patients="*", binary=True)
        for send in (end.send, end.send_packed):
            send(type="ping", t=5, request_id="r")
            await bench.settle()
            (answer,) = end.take()
            assert (answer["type"], answer["t"], answer["request_id"]) == ("pong", 5, "r")
        assert {opcode for opcode, _ in end.frames} == {BINARY}

    async def test_connected_names_the_protocol(self, bench: Workbench) -> None:
        end = bench.newcomer(binary=True)
        end.send_packed(type="connect", token=bench.token(patients="*"), subscriptions=["patient:1"])
        await bench.settle()
        (connected,) = end.take()
        assert (connected["type"], connected["protocol"]) == ("connected", "wsserver.v1.bin")
        assert connected["subscriptions"][0]["target_id"] == "1"

    async def test_kind_1_is_a_broadcast(self, bench: Workbench) -> None:
        in_json, in_binary = await both(bench, "patient:1")
        service = await bench.client("s1", "service", patients="*", binary=True)
        message = {"v": 3, "data": [1.5] * 15}
        service.send_raw(BINARY, encode_message(message, topic="patient:1", seq=0, time=0))
        await bench.settle()
        (ack,) = service.take()
        assert (ack["type"], ack["delivered"], "request_id" in ack) == ("broadcast_ack", 2, False)
        (first,), (second,) = in_json.take(), in_binary.take()
        assert first == second
        assert {name: first[name] for name in ("v", "data", "sender")} == {**message, "sender": "s1"}

    async def test_rights_hold_for_kind_1_as_for_the_command(self, bench: Workbench) -> None:
        doctor = await bench.client("u1", patients="*", binary=True)
        doctor.send_raw(BINARY, encode_message({"v": 1}, topic="*", seq=0, time=0))
        await bench.settle()
        assert doctor.take()[0]["code"] == 1011

    async def test_a_wrong_command_is_1003_in_both_with_its_request_id(self, bench: Workbench) -> None:
        end = await bench.client("u1", patients="*", binary=True)
        for send in (end.send, end.send_packed):
            send(type="subscribe", request_id="r7", topicc="x")
            await bench.settle()
            (error,) = end.take()
            assert (error["code"], error["request_id"]) == (1003, "r7")
            assert error["details"] == {"path": "topicc", "reason": "is unknown; did you mean topic?"}
        assert end.close_code is None

    @pytest.mark.parametrize(
        "payload",
        [
            b"",
            b"{}",
            b"\xb1",
            encode_control({"type": "ping"}, time=0)[:-1],
            encode_control({"type": "ping"}, time=0) + b"\0",
            encode_message({"data": [0] * 16}, topic="*", seq=0, time=0),
            encode_message({}, topic="*", seq=9, time=0),
            encode_control({"pad": "x" * 2_000_000}, time=0, compression_threshold=1),
        ],
        ids=["empty", "JSON", "cut", "short", "long", "samples", "seq", "bomb"],
    )
    async def test_a_violation_is_1009_once_and_the_second_one_4509(
        self, bench: Workbench, payload: bytes
    ) -> None:
        end = await bench.client("u1", patients="*", binary=True)
        end.send_raw(BINARY, payload)
        await bench.settle()
        (error,) = end.take()
        assert (error["code"], error["name"]) == (1009, "binary_protocol_error")
        assert end.close_code is None
        assert (await bench.ask(end, type="ping"))[0]["type"] == "pong"
        end.send_raw(BINARY, payload)
        await bench.settle()
        assert end.take()[0]["code"] == 1009
        assert end.close_code == 4509

    async def test_a_newcomers_violation_is_1009_once_and_the_second_one_4509(self, bench: Workbench) -> None:
        end = bench.newcomer(binary=True)
        end.send_raw(BINARY, b"\xb1")
        await bench.settle()
        assert end.take()[0]["code"] == 1009
        assert end.close_code is None
        end.send_raw(BINARY, encode_control({"pad": "x" * 5000}, time=0, compression_threshold=1))
        await bench.settle()
        assert end.take()[0]["code"] == 1009
        assert end.close_code == 4509

    async def test_a_newcomer_that_speaks_json_is_told_so(self, bench: Workbench) -> None:
        end = bench.newcomer()
        end.send_packed(type="connect", token=bench.token(patients="*"))
        await bench.settle()
        assert end.take()[0]["code"] == 1003

    async def test_what_is_unpacked_counts_against_the_rate_of_bytes(self) -> None:
        bench = await Workbench(
            rate_limit={"bytes_per_second": 1024, "byte_burst": 100_000},
            inbound={"max_message_size": 60_000},
        ).start()
        end = await bench.client("u1", patients="*", binary=True)
        bomb = encode_control({"type": "ping", "pad": "x" * 50_000}, time=0, compression_threshold=1)
        assert len(bomb) < 500
        end.send_packed(type="ping")
        await bench.settle()
        assert end.reading
        for _ in range(2):
            end.send_raw(BINARY, bomb)
            await bench.settle()
        assert not end.reading


class TestNews:
    async def test_errors_and_notices_are_said_in_the_protocol_of_each(self) -> None:
        bench = await Workbench(subscription={"timeout": 100.0}).start()
        ends = await both(bench, "type:ecg")
        bench.pass_time(95.0)
        bench.manager.subscription_manager.cleanup()
        bench.pass_time(10.0)
        await bench.settle()
        said = [sorted({message["type"] for message in end.take()}) for end in ends]
        assert said[0] == said[1]

    async def test_what_a_slow_one_lost_is_told_in_its_protocol(self) -> None:
        bench = await Workbench(
            backpressure={"max_queue_messages": 8, "conflatable_types": ("vitals",)}
        ).start()
        lost = []
        for end in await both(bench, "patient:1"):
            end.stuck = True
        ends = [one.link.transport for one in bench.manager.connections.values()]
        for n in range(40):
            bench.manager.broadcast_to_patient(1, {"type": "vitals", "n": n})
            bench.loop.run()
        for end in ends:
            end.stuck, end._buffered = False, 0
            end.connection.resume_writing()
            await bench.settle()
            said = end.take()
            lost.append([message for message in said if message.get("type") == "gap"])
            assert [m["n"] for m in said if "_meta" in m][-1] == 39
        assert lost[0] == lost[1] != []

    async def test_a_drain_tells_both(self, bench: Workbench) -> None:
        for end in await both(bench):
            bench.owner(end).say(SystemShutdown(message="bye", reconnect_after_ms=7))
            await bench.settle()
            assert end.take() == [{"type": "system_shutdown", "message": "bye", "reconnect_after_ms": 7}]


class TestComingBack:
    async def back(self, bench: Workbench, told: dict[str, Any], *, binary: bool) -> list[dict[str, Any]]:
        end = bench.newcomer(binary=binary)
        session = {"id": told["session_id"], "cursor": told["cursor"]}
        end.send(type="connect", token=bench.token(patients="*"), session=session)
        await bench.settle()
        self.end = end
        return end.take()

    async def test_a_session_goes_on_in_either_protocol(self, bench: Workbench) -> None:
        self.end = bench.newcomer()
        self.end.send(type="connect", token=bench.token(patients="*"), subscriptions=["patient:1"])
        await bench.settle()
        (told,) = self.end.take()
        before = encoded(bench)
        for binary in (True, False, True, True):
            self.end.leave()
            await bench.settle()
            for n in range(3):
                bench.manager.broadcast_to_patient(1, {"n": n, **SAMPLES})
            connected, *replayed = await self.back(bench, told, binary=binary)
            assert connected["session"] == {"resumed": True, "replayed": 3, "gaps": []}
            assert [message["n"] for message in replayed] == [0, 1, 2]
            assert all(message["data"] == SAMPLES["data"] for message in replayed)
            (pong,) = await bench.ask(self.end, type="ping")
            told = connected | {"cursor": pong["cursor"]}
        # Those that were replayed in binary, each once.
        assert encoded(bench) == before + 9

    async def test_a_replay_says_what_was_said_live_to_the_byte(self, bench: Workbench) -> None:
        bench.clock.wall = 1_767_225_600.123456
        first = bench.newcomer(binary=True)
        first.send(type="connect", token=bench.token(patients="*"), subscriptions=["patient:1"])
        await bench.settle()
        (told,) = first.take()
        bench.manager.broadcast_to_patient(1, SAMPLES)
        await bench.settle()
        live = first.frames[-1]
        # Once with the form that was kept, once with one that is made anew.
        for kept in (True, False):
            if not kept:
                for one in bench.manager.history.after(0):
                    one.drop_binary()
            bench.clock.advance(1.0)
            await self.back(bench, told, binary=True)
            assert self.end.frames[-1] == live

    async def test_what_is_replayed_to_many_is_encoded_once(self, bench: Workbench) -> None:
        tellings = []
        for number in range(3):
            end = bench.newcomer(binary=True)
            end.send(
                type="connect", token=bench.token(f"u{number}", patients="*"), subscriptions=["patient:1"]
            )
            await bench.settle()
            tellings.append(end.take()[0])
            end.leave()
            await bench.settle()
        for _ in range(4):
            bench.manager.broadcast_to_patient(1, {"v": 1})
        assert encoded(bench) == 0
        for number, told in enumerate(tellings):
            end = bench.newcomer(binary=True)
            session = {"id": told["session_id"], "cursor": told["cursor"]}
            end.send_packed(type="connect", token=bench.token(f"u{number}", patients="*"), session=session)
            await bench.settle()
            assert len(end.take()) == 5
        assert encoded(bench) == 4

    async def test_what_is_published_while_one_catches_up_is_encoded_for_it(self, bench: Workbench) -> None:
        end = await bench.client("u1", patients="*", binary=True)
        end.send(type="subscribe", topic="patient:1")
        await bench.settle()
        end.take()
        handle = bench.owner(end).handle
        bench.manager.hub.set_out(handle, bench.manager.broadcasts.logs.heads(), True)
        report = bench.manager.broadcast_to_patient(1, {"v": 1})
        assert report.refused == {"catching_up": 1}
        assert encoded(bench) == 1
        bench.manager.hub.go_live(handle)


async def test_connections_are_counted_by_protocol(bench: Workbench) -> None:
    _, end = await both(bench)
    figures = specification_metrics(bench.service)
    assert figures["connections"]["by_protocol"] == {"wsserver.v1.json": 1, "wsserver.v1.bin": 1}
    bench.manager.broadcast_to_all({})
    assert specification_metrics(bench.service)["messages"]["encoded_binary"] == 1
    end.leave()
    await bench.settle()
    assert bench.manager.binary_connections == 0
    assert end.frames[0][0] != TEXT
