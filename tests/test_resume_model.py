"""Clients that are cut off anywhere and come back, against a slow twin that knows what each must get.

Whatever happens, each message that a client should have got has been handled once and in order, or
lies in a gap that it was told of; nothing comes that it may not see; and no gap is told without a
loss.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest
from fake_clock import FakeClock
from far_end import FarEnd
from hand_loop import HandLoop
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from workbench import EVERY_RIGHT, settings_with

from wsserver.access.principal import Principal
from wsserver.connection_manager import NEVER, ConnectionManager
from wsserver.connections.connection_metadata import ConnectionMetadata
from wsserver.connections.newcomer import Newcomer
from wsserver.loop import turn_budget
from wsserver.protocol import commands
from wsserver.protocol.encoding import JSON
from wsserver.protocol.topic import Topic
from wsserver.service import Service
from wsserver.sessions import catch_up, interest
from wsserver_core.connection import Connection

PATIENTS = ("1", "2")
TOPICS = ("patient:1", "patient:2", "patient:*", "ecg:*", "ecg:5", "ward:5", "*")
FILTERS: tuple[dict[str, Any], ...] = ({}, {"v": 1}, {"v": {"$gte": 2}})
TYPES = ("vitals", "note", "alert", "brief")


class SlowEnd(FarEnd):
    """A client that may stop reading: what is written meanwhile comes through later."""

    def __init__(self, loop: HandLoop) -> None:
        super().__init__(loop)
        self._held = b""

    def write(self, data: bytes) -> None:
        if self.stuck:
            self._held += bytes(data)
            self._buffered += len(data)
        else:
            super().write(data)

    def go_on(self) -> None:
        self.stuck = False
        self.data, self._held, self._buffered = self.data + self._held, b"", 0
        if self.connection is not None and not self._closing:
            self.connection.resume_writing()


@dataclass(eq=False)
class Sent:
    """A message as the twin knows it."""

    log: str
    seq: int
    topic: str
    patient: str | None
    v: int
    at: int
    """How many messages had been published before."""
    author: "Client | None" = None
    """Who sent it without an echo."""

    def is_for(self, client: "Client") -> bool:
        wanted, patients = client.wanted, client.patients
        if self.author is client:
            return False
        if self.patient is not None and self.patient not in patients:
            return False
        if self.topic == "*":
            return True
        name, target = self.topic.split(":")
        for topic, filters in wanted.items():
            subscribed, _, of = topic.partition(":")
            hit = topic == "*" or (subscribed == name and (target == "*" or of in ("*", target)))
            if hit and self._passes(filters):
                return True
        return False

    def _passes(self, filters: dict[str, Any]) -> bool:
        wanted = filters.get("v")
        return wanted is None or (self.v >= wanted["$gte"] if isinstance(wanted, dict) else self.v == wanted)


@dataclass(eq=False)
class Client:
    """A client that keeps to the protocol's document, and what the twin knows of it."""

    name: str
    patients: set[str]
    wanted: dict[str, dict[str, Any]] = field(default_factory=dict)
    end: SlowEnd | None = None
    metadata: ConnectionMetadata | None = None
    read: int = 0
    session_id: str | None = None
    cursor: dict[str, int] = field(default_factory=dict)
    handled: list[Sent] = field(default_factory=list)
    gaps: list[dict[str, Any]] = field(default_factory=list)
    must: dict[Sent, None] = field(default_factory=dict)
    may: dict[Sent, None] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    """Patients that it could see at any time of its present connection."""
    has_session: bool = False
    complete: int = 0
    """How many messages had been published when it certainly lacked nothing."""

    def is_in(self) -> bool:
        """Whether it has got its ``connected``: before that a client says nothing."""
        return self.end is not None and self.read > 0


class Ward(RuleBasedStateMachine):
    """The rules. Sizes are small, so that everything is trimmed, full or slow before long."""

    history: ClassVar[dict[str, Any]] = {"size": 6, "size_by_type": {"brief": 1}, "ttl": 40.0}

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.loop = HandLoop()
        config = settings_with(
            history=self.history,
            session={"ttl": 100_000.0},
            backpressure={"max_queue_messages": 24, "conflatable_types": ("vitals",)},
            store={"volatile_types": ("brief",)},
            connection={"heartbeat_interval": 10_000.0, "timeout": 20_000.0},
        )
        self.manager = ConnectionManager(config, clock=self.clock)
        self.manager.bind(self.loop)
        self.service = Service(config, manager=self.manager)
        self.manager.hub.now = self.clock.monotonic()
        self.service.running = True
        self.sent: dict[tuple[str, int], Sent] = {}
        self.clients = [Client("a", {"1"}), Client("b", {"1", "2"})]

    # -- what happens

    @initialize(
        first=st.sampled_from(TOPICS),
        second=st.sampled_from(TOPICS),
        filters=st.sampled_from(FILTERS),
        binary=st.booleans(),
    )
    def come(self, first: str, second: str, filters: dict[str, Any], binary: bool) -> None:
        for client, topic in zip(self.clients, (first, second), strict=True):
            self._connect(client, binary=binary and client is self.clients[0])
            self.loop.run()
            self._read(client, 100)
            self._subscribe(client, topic, filters)

    @rule(
        topic=st.sampled_from(TOPICS),
        patient=st.sampled_from((None, *PATIENTS)),
        v=st.integers(0, 3),
        kind=st.sampled_from(TYPES),
        times=st.integers(1, 4),
        sender=st.sampled_from((None, 0, 1)),
    )
    def publish(
        self, topic: str, patient: str | None, v: int, kind: str, times: int, sender: int | None
    ) -> None:
        if topic.startswith("patient:") and topic != "patient:*":
            patient = None
        for _ in range(times):
            body: dict[str, Any] = {"v": v, "type": kind}
            if patient is not None:
                body["patient_id"] = patient
            author = None if sender is None else self.clients[sender]
            handle = author.metadata.handle if author is not None and author.metadata is not None else 0
            if not handle:
                author = None
            report = self.manager.publish(Topic.parse(topic), body, exclude=handle)
            about = topic.removeprefix("patient:") if topic in ("patient:1", "patient:2") else patient
            self._note(report, topic, about, v, author)

    @rule(client=st.integers(0, 1), patient=st.sampled_from((None, *PATIENTS)))
    def send_directly(self, client: int, patient: str | None) -> None:
        one = self.clients[client]
        if one.metadata is None:
            return
        body: dict[str, Any] = {"v": 0} | ({} if patient is None else {"patient_id": patient})
        report = self.manager.send_message(one.metadata.connection_id, body)
        topic = "*" if patient is None else f"patient:{patient}"
        sent = self._new(report, topic, patient, 0)
        if report.delivered:
            one.must[sent] = one.may[sent] = None

    @rule(client=st.integers(0, 1), topic=st.sampled_from(TOPICS), filters=st.sampled_from(FILTERS))
    def subscribe(self, client: int, topic: str, filters: dict[str, Any]) -> None:
        if self.clients[client].is_in():
            self._subscribe(self.clients[client], topic, filters)

    @rule(client=st.integers(0, 1), topic=st.sampled_from(TOPICS))
    def unsubscribe(self, client: int, topic: str) -> None:
        one = self.clients[client]
        if one.is_in() and one.wanted.pop(topic, None) is not None:
            self._say(one, type="unsubscribe", topic=topic)
            self._changed(one)

    @rule(client=st.integers(0, 1), patients=st.sets(st.sampled_from(PATIENTS)))
    def give_rights(self, client: int, patients: set[str]) -> None:
        one = self.clients[client]
        one.patients = patients
        one.seen |= patients
        # Also of a connection that is dead and not known to be.
        for metadata in list(self.manager.connections.values()):
            if metadata.user_id == one.name:
                for ended in self.manager.replace_principal(metadata, self._principal(one)):
                    one.wanted.pop(Topic(ended.subscription_type, ended.target_id).text, None)
        self._changed(one)

    @rule(client=st.integers(0, 1))
    def ping(self, client: int) -> None:
        if self.clients[client].is_in():
            self._say(self.clients[client], type="ping")

    @rule(client=st.integers(0, 1))
    def stop_reading(self, client: int) -> None:
        end = self.clients[client].end
        if end is not None:
            end.stuck = True

    @rule(client=st.integers(0, 1))
    def go_on_reading(self, client: int) -> None:
        end = self.clients[client].end
        if end is not None:
            end.go_on()

    @rule(client=st.integers(0, 1), frames=st.integers(0, 12))
    def read_some(self, client: int, frames: int) -> None:
        self._read(self.clients[client], frames)

    @rule(turns=st.integers(1, 3))
    def turn(self, turns: int) -> None:
        for _ in range(turns):
            self.loop.turn()

    @rule(seconds=st.sampled_from((0.5, 3.0, 12.0)))
    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.service.housekeeping.tick()
            self.loop.turn()

    @rule(client=st.integers(0, 1), heard=st.booleans())
    def cut(self, client: int, heard: bool) -> None:
        """The connection breaks; the server hears of it now, or when the client is back."""
        one = self.clients[client]
        if one.end is not None:
            if heard:
                self._note_completeness(one)
                one.end.leave()
                self.loop.turn()
            self._gone(one)

    @rule(client=st.integers(0, 1), binary=st.booleans())
    def come_back(self, client: int, binary: bool) -> None:
        """Into the same session, whichever of the protocols it spoke before."""
        self._connect(self.clients[client], binary=binary)

    @rule(client=st.integers(0, 1), frames=st.integers(0, 3), binary=st.booleans())
    def come_back_and_break(self, client: int, frames: int, binary: bool) -> None:
        one = self.clients[client]
        self._connect(one, binary=binary)
        self.loop.turn()
        self._read(one, frames)
        self.cut(client, heard=True)

    # -- the end

    def teardown(self) -> None:
        for one in self.clients:
            if one.end is not None and one.end.stuck:
                one.end.go_on()
            self.loop.run()
            self._read(one, 10_000)
            if one.end is None:
                self._connect(one)
            self.loop.run()
            self._read(one, 10_000)
            if one.end is None:
                self._connect(one)
                self.loop.run()
                self._read(one, 10_000)
        assert len(self.manager.catch_ups) == 0
        for one in self.clients:
            assert one.end is not None
            handled = set(one.handled)
            for sent in one.must:
                assert sent in handled or self._is_told(one, sent), (sent, one.gaps)
        assert not self.loop.faults
        figures = self.manager.sessions
        for one in self.clients:
            assert one.metadata is not None
            self.manager.disconnect(one.metadata.connection_id)
        self.loop.run()
        assert not figures._live
        assert not figures._ended
        assert not figures._former

    @invariant()
    def sums_add_up(self) -> None:
        assert list(self.manager.broadcasts.accounts.check()) == []

    # -- the server's side

    def _principal(self, client: Client) -> Principal:
        seen = frozenset(client.patients)
        return Principal(
            user_id=client.name,
            role="doctor",
            rights=EVERY_RIGHT,
            scope=self.manager.scopes.intern(seen),
            expires_at=NEVER,
        )

    def _connect(self, client: Client, *, binary: bool = False) -> None:
        if client.end is not None:
            # The server does not know yet that the old one is dead.
            self._gone(client)
        end = SlowEnd(self.loop)
        connection = Connection(self.service.inlet, self.service.newcomer_limits, None, binary)
        newcomer = Newcomer(connection, self.manager.binary if binary else JSON, lambda: None)
        connection.owner = newcomer
        connection.attach(end, -1)
        shown = None
        if client.session_id is not None:
            shown = commands.Session(id=client.session_id, cursor=dict(client.cursor))
        self.service.admission.admit(newcomer, self._principal(client), session=shown)
        metadata = connection.owner
        assert isinstance(metadata, ConnectionMetadata)
        client.end, client.metadata, client.read = end, metadata, 0
        client.seen = set(client.patients)
        for topic in list(client.wanted):
            patient = topic.removeprefix("patient:")
            if patient in PATIENTS and patient not in client.patients:
                # Not given back: it is gone for good.
                del client.wanted[topic]
        self._changed(client)

    def _gone(self, client: Client) -> None:
        client.end = client.metadata = None
        client.read = 0

    def _subscribe(self, client: Client, topic: str, filters: dict[str, Any]) -> None:
        patient = topic.removeprefix("patient:")
        if patient in PATIENTS and patient not in client.patients:
            return
        subscription_type, _, target = topic.partition(":")
        fields = {"subscription_type": subscription_type, "target_id": target or "*"}
        self._say(client, type="subscribe", filters=filters, **fields)
        existed = topic in client.wanted
        client.wanted[topic] = filters
        self._changed(client, only_older=existed)

    def _say(self, client: Client, **command: Any) -> None:
        if client.end is not None and client.end.connection is not None and client.end.connection.is_open:
            client.end.send(**command)

    # -- the twin

    def _new(self, report: Any, topic: str, patient: str | None, v: int) -> Sent:
        sent = Sent(report.log, report.seq, topic, patient, v, len(self.sent))
        self.sent[report.log, report.seq] = sent
        return sent

    def _note(self, report: Any, topic: str, patient: str | None, v: int, author: Client | None) -> None:
        sent = self._new(report, topic, patient, v)
        sent.author = author
        for client in self.clients:
            if sent.is_for(client):
                client.must[sent] = client.may[sent] = None

    def _changed(self, client: Client, *, only_older: bool = True) -> None:
        """Subscriptions or rights have changed: what is under way is judged by the new ones."""
        handled = set(client.handled)
        for sent in self.sent.values():
            if sent in handled:
                continue
            if not sent.is_for(client):
                client.must.pop(sent, None)
            elif only_older:
                client.may[sent] = None

    def _note_completeness(self, client: Client) -> None:
        """Whether a client that is about to be cut has everything up to now, however much it filters."""
        metadata, end = client.metadata, client.end
        assert metadata is not None
        assert end is not None
        figures = self.manager.hub.connection_figures(metadata.handle)
        if figures is None or figures[2] or end.stuck or metadata.catch_up is not None:
            return
        if client.read == len(end.messages) and end.close_code is None:
            client.complete = len(self.sent)

    def _is_told(self, client: Client, sent: Sent) -> bool:
        return any(
            gap["log"] == sent.log
            and gap.get("topic") in (None, sent.topic)
            and gap.get("from", 0) <= sent.seq <= gap.get("to", sent.seq)
            for gap in client.gaps
        )

    # -- the client's side

    def _read(self, client: Client, frames: int) -> None:
        end = client.end
        if end is None:
            return
        if end.close_code is not None and client.read + frames >= len(end.messages):
            self._messages(client, end.messages[client.read :])
            assert end.close_code in (4005, 4522), end.close_code
            end.leave()
            self.loop.turn()
            self._gone(client)
            return
        new = end.messages[client.read : client.read + frames]
        client.read += len(new)
        self._messages(client, new)

    def _messages(self, client: Client, messages: list[dict[str, Any]]) -> None:
        for message in messages:
            if "_meta" in message:
                self._handle(client, message)
            elif message["type"] == "connected":
                self._connected(client, message)
            elif message["type"] == "gap":
                self._told(client, message)
            elif message["type"] == "pong":
                for log, seq in message["cursor"].items():
                    client.cursor[log] = max(client.cursor[log], seq)

    def _connected(self, client: Client, message: dict[str, Any]) -> None:
        if client.has_session:
            assert message["session"]["resumed"]
            for log, seq in client.cursor.items():
                assert message["cursor"][log] >= seq
        client.has_session = True
        client.session_id = message["session_id"]
        client.cursor = dict(message["cursor"])
        for gap in (message.get("session") or {"gaps": []})["gaps"]:
            self._told(client, gap)

    def _handle(self, client: Client, message: dict[str, Any]) -> None:
        meta = message["_meta"]
        sent = self.sent[meta["log"], meta["seq"]]
        assert (sent.topic, sent.v) == (meta["topic"], message["v"])
        if sent.seq <= client.cursor[sent.log]:
            raise AssertionError(f"{client.name} gets {sent} at {client.cursor}")
        assert sent in client.may, (client.name, sent)
        assert sent.patient is None or sent.patient in client.seen
        client.cursor[sent.log] = sent.seq
        client.handled.append(sent)

    def _told(self, client: Client, gap: dict[str, Any]) -> None:
        client.gaps.append(gap)
        if gap["reason"] != "trimmed":
            return
        # Somebody else's loss is no reason to tell.
        kept = {(one.frame.log, one.seq) for one in self.manager.history.after(0)}
        lost = [
            one
            for (log, seq), one in self.sent.items()
            if log == gap["log"]
            and gap["from"] <= seq <= gap["to"]
            and one.topic == gap.get("topic", one.topic)
            and (log, seq) not in kept
            and one.at >= client.complete
        ]
        assert lost, gap


class BigWard(Ward):
    """Nothing is ever trimmed: then no gap may be told but for slowness and what went to one alone."""

    history: ClassVar[dict[str, Any]] = {"size": 100_000, "ttl": 100_000.0}

    def _told(self, client: Client, gap: dict[str, Any]) -> None:
        client.gaps.append(gap)
        assert gap["reason"] in ("slow", "conflated", "limit", "forbidden"), gap


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few messages at a time, and both ways to read the history."""
    monkeypatch.setattr(catch_up, "EXAMINED", 3)
    monkeypatch.setattr(interest, "MERGED", 4)
    # However slow the machine: a command is done at once, which the twin relies on.
    monkeypatch.setattr(turn_budget, "SECONDS", 1e9)
    monkeypatch.setattr(catch_up, "SECONDS", 1e9)


@pytest.mark.parametrize("ward", [Ward, BigWard])
def test_nobody_misses_anything_without_being_told(ward: type[Ward]) -> None:
    run_state_machine_as_test(
        ward,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
