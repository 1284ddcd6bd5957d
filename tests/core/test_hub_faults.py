"""The hub: transports that misbehave while it flushes, and threads that have no business there."""

import sys
import threading
import time
from collections.abc import Callable

import pytest
from pier import Pier, fill, queue_of, read_all, recipients
from recording_transport import RecordingTransport

from wsserver_core.hub import Hub
from wsserver_core.outgoing import DROP_REASONS, Frame
from wsserver_core.recipients import Recipients

SLOW = DROP_REASONS.index("slow")


class TestFaultyTransports:
    """What one transport does must never reach the others' sockets, queues or counts."""

    @pytest.mark.parametrize("call", ["write", "abort", "write_eof", "close"])
    def test_a_fault_is_reported_and_the_others_of_the_slice_are_served_exactly_once(
        self, pier: Pier, call: str
    ) -> None:
        opened = [pier.open_socket(buffer=4096) for _ in range(4)]
        opened[1][1].failing[call] = ValueError(call)
        if call == "write":
            fill(pier.sockets[2])
        elif call == "abort":
            opened[1][2].close()
        else:
            pier.hub.enqueue(opened[1][0], Frame(b""))
            pier.hub.finish(opened[1][0], call == "write_eof")
        for text in (b"one ", b"two "):
            pier.hub.enqueue_many(recipients(handle for handle, _, _ in opened), Frame(text))
            pier.hub.flush_all()
        pier.loop.run()
        assert [read_all(opened[place][2]) for place in (0, 2, 3)] == [b"one two "] * 3
        assert [str(context["exception"]) for context in pier.loop.faults] == [call]
        assert pier.hub.fileno(opened[1][0]) == -1

    def test_a_fault_on_the_indirect_path_leaves_nobody_waiting(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(4)]
        opened[1][1].failing["write"] = ValueError("write")
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert [bytes(opened[place][1].sent) for place in (0, 2, 3)] == [b"x"] * 3
        assert len(pier.loop.faults) == 1
        assert "abort" in opened[1][1].calls
        pier.ledger.check()

    def test_a_flush_from_within_a_write_sends_nothing_twice_and_forgets_nobody(self, pier: Pier) -> None:
        pier.hub.batch_size = 2
        opened = [pier.open() for _ in range(6)]
        write = opened[0][1].write
        served: list[int] = []

        def write_and_flush(data: bytes) -> None:
            write(data)
            served.append(pier.hub.flush_all())
            pier.hub.flush_slice()

        opened[0][1].write = write_and_flush
        pier.ledger.enqueue_many([handle for handle, _ in opened], Frame(b"x"))
        pier.loop.run()
        assert [bytes(transport.sent) for _, transport in opened] == [b"x"] * 6
        assert served == [0]
        pier.ledger.check()

    def test_a_broadcast_from_within_a_write_is_sent_after_it(self, pier: Pier) -> None:
        opened = [pier.open() for _ in range(3)]
        handles = [handle for handle, _ in opened]
        write = opened[0][1].write

        def write_and_answer(data: bytes) -> None:
            write(data)
            if data == b"x":
                pier.ledger.enqueue_many(handles, Frame(b"y"))

        opened[0][1].write = write_and_answer
        pier.ledger.enqueue_many(handles, Frame(b"x"))
        pier.loop.run()
        assert [bytes(transport.sent) for _, transport in opened] == [b"xy"] * 3
        pier.ledger.check()

    def test_a_discard_between_the_sends_and_their_settling_keeps_what_was_sent(self, pier: Pier) -> None:
        first, first_transport, first_peer = pier.open_socket()
        second, _, second_peer = pier.open_socket()
        first_peer.close()
        frame = Frame(b"sent")
        discarded: list[int] = []
        first_transport.abort = lambda: discarded.append(pier.hub.discard(second, SLOW))
        pier.ledger.enqueue_many([first, second], frame)
        pier.hub.flush_slice()
        assert discarded == [0]
        assert read_all(second_peer) == b"sent"
        assert (frame.queued, frame.written) == (1, 1)
        pier.ledger.check()

    def test_a_connection_released_between_the_sends_and_their_settling_is_left_alone(
        self, pier: Pier
    ) -> None:
        first, first_transport, first_peer = pier.open_socket()
        second, _, _ = pier.open_socket()
        first_peer.close()
        newcomers: list[tuple[int, RecordingTransport]] = []

        def swap() -> None:
            pier.hub.release(second)
            newcomers.append(pier.open())

        first_transport.abort = swap
        pier.ledger.enqueue_many([first, second], Frame(b"x"))
        pier.loop.run()
        (handle, transport) = newcomers[0]
        assert handle & 0xFFFFFFFF == second & 0xFFFFFFFF
        assert queue_of(pier.hub, handle) == (0, 0)
        assert transport.calls == []
        pier.ledger.check()


class TestOneThread:
    @pytest.mark.parametrize(
        "act",
        [
            lambda hub: hub.enqueue(0, Frame(b"")),
            lambda hub: hub.enqueue_many(Recipients(), Frame(b"")),
            lambda hub: hub.flush_slice(),
            lambda hub: hub.flush_all(),
            lambda hub: hub.flush_turn(),
            lambda hub: hub.open(None, -1, None),
            lambda hub: hub.release(0),
            lambda hub: hub.discard(0, 0),
            lambda hub: hub.finish(0),
            lambda hub: hub.block(0),
            lambda hub: hub.unblock(0),
        ],
        ids=[
            *("enqueue", "enqueue_many", "flush_slice", "flush_all", "flush_turn"),
            *("open", "release", "discard", "finish", "block", "unblock"),
        ],
    )
    def test_another_thread_is_refused_while_the_sends_run_without_the_gil(
        self, pier: Pier, act: Callable[[Hub], object]
    ) -> None:
        opened = [pier.open_socket() for _ in range(50)]
        handles = [handle for handle, _, _ in opened]
        stop = threading.Event()
        refusals: list[str] = []

        def meddle() -> None:
            while not stop.is_set() and not refusals:
                try:
                    act(pier.hub)
                except RuntimeError as refusal:
                    refusals.append(str(refusal))
                time.sleep(0)

        # No switch of threads but where one lets go of the GIL itself: the sends.
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1000)
        thread = threading.Thread(target=meddle)
        try:
            thread.start()
            for _ in range(2000):
                if refusals:
                    break
                pier.ledger.enqueue_many(handles, Frame(b"x" * 1000))
                pier.hub.flush_slice()
                for _, _, peer in opened:
                    read_all(peer)
        finally:
            stop.set()
            thread.join()
            sys.setswitchinterval(interval)
        assert refusals == ["the hub belongs to the thread of its loop"]
