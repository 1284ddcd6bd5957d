"""A bench at which somebody asks why a connection did or did not get a message, and scenes to ask about."""

from collections.abc import Callable
from typing import Any

import msgspec
from workbench import Bench, principal

from wsserver.access.principal import Principal
from wsserver.observe.delivery_records import DeliveryRecord
from wsserver.protocol.report import DeliveryReport
from wsserver.protocol.topic import Topic
from wsserver.publishing.delivery_explainer import DeliveryExplainer
from wsserver.publishing.delivery_verdict import TEXTS, DeliveryVerdict
from wsserver_core.outgoing import ALERT, DATA, DROP_REASONS, Frame


class Inquiry:
    """A bench with an explainer that notes which reasons it has been heard to give."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.manager = self.bench.manager
        self.explainer = DeliveryExplainer(self.manager)
        self.all_seeing = principal(self.bench, "ops", None, "admin")

    def watcher(
        self, user_id: str = "u1", patient_id: int = 1, filters: dict[str, Any] | None = None
    ) -> tuple[str, int]:
        """A connection that is subscribed to a patient, and its handle."""
        one, _ = self.bench.connect(user_id, "doctor", patient_id)
        assert self.manager.subscribe(one, "patient", patient_id, filters)
        return one, self.bench.metadata(one).handle

    def publish(self, message: dict[str, Any] | None = None, *, exclude: int = 0) -> DeliveryReport:
        """To patient 1, a second after what came before."""
        self.bench.clock.advance(1)
        report = self.manager.publish(
            Topic.of_patient(1), {"n": 1} if message is None else message, exclude=exclude
        )
        self.bench.clock.advance(1)
        return report

    def record(self, report: DeliveryReport) -> DeliveryRecord:
        record = self.manager.records.get(report.message_id)
        assert record is not None
        return record

    def ask(
        self, report: DeliveryReport, connection_id: str, asker: Principal | None = None
    ) -> DeliveryVerdict:
        verdict = self.explainer.explain(self.record(report), connection_id, asker or self.all_seeing)
        assert verdict is not None
        msgspec.json.encode(verdict.as_dict())
        assert verdict.text().startswith(TEXTS[verdict.reason])
        return verdict

    def replay(self, handle: int, report: DeliveryReport) -> None:
        """Queue a message once more, as for a connection that came back."""
        frame = Frame(b"again", None, DATA, topic=report.topic, log=report.log, seq=report.seq)
        self.manager.hub.set_out(handle, (0, 0), True)
        assert self.manager.hub.replay(handle, frame) == 0
        self.manager.hub.go_live(handle)

    def slow(self, connection_id: str) -> None:
        self.manager.hub.block(self.bench.metadata(connection_id).handle)


Case = Callable[[Inquiry], tuple[DeliveryReport, str]]


def dropped(reason: str) -> Case:
    def case(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
        one, handle = inquiry.watcher()
        report = inquiry.publish()
        inquiry.manager.hub.discard(handle, DROP_REASONS.index(reason))
        return report, one

    return case


def sent(
    *,
    filters: dict[str, Any] | None = None,
    topic: str = "patient:1",
    patient: int = 1,
    before: Callable[[Inquiry, str], object] = lambda inquiry, one: None,
    after: Callable[[Inquiry, str, DeliveryReport], object] = lambda inquiry, one, report: None,
) -> Case:
    """A client subscribes, something happens, a message is sent, something else happens."""

    def case(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
        one, _ = inquiry.bench.connect("u1", "doctor", patient)
        assert inquiry.manager.subscribe(one, *topic.split(":"), filters)
        before(inquiry, one)
        report = inquiry.publish()
        after(inquiry, one, report)
        return report, one

    return case


def handle_of(inquiry: Inquiry, connection_id: str) -> int:
    return inquiry.bench.metadata(connection_id).handle


def fill_queue(inquiry: Inquiry, connection_id: str) -> None:
    inquiry.slow(connection_id)
    inquiry.manager.hub.max_queue_messages = 1
    inquiry.manager.hub.enqueue(handle_of(inquiry, connection_id), Frame(b"x", None, ALERT))


def lose_more_than_is_kept(inquiry: Inquiry, connection_id: str) -> None:
    hub, handle = inquiry.manager.hub, handle_of(inquiry, connection_id)
    hub.max_queue_messages, hub.max_queue_bytes = 100_000, 1 << 30
    for seq in range(hub.drops.capacity):
        hub.enqueue(handle, Frame(b"x", None, DATA, topic="t", log="another", seq=seq))
    hub.discard(handle, DROP_REASONS.index("slow"))


def expire(inquiry: Inquiry, connection_id: str) -> None:
    inquiry.bench.clock.advance(3601)
    assert inquiry.manager.subscription_manager.cleanup() == 1


def conflated(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.watcher()
    inquiry.slow(one)
    inquiry.manager.hub.max_queue_messages = 4
    first, *_ = [inquiry.publish({"type": "vitals"}) for _ in range(4)]
    return first, one


def own_message(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, handle = inquiry.watcher()
    return inquiry.publish(exclude=handle), one


def other_connection(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.watcher()
    return inquiry.manager.send_message(inquiry.watcher("u2")[0], {"patient_id": 1}), one


def connected_later(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    return inquiry.publish(), inquiry.watcher()[0]


def replayed(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    report = inquiry.publish()
    one, handle = inquiry.watcher()
    inquiry.replay(handle, report)
    inquiry.bench.loop.run()
    return report, one


def never_subscribed(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    one, _ = inquiry.bench.connect("u1", "doctor", 1)
    return inquiry.publish(), one


def subscribed_later(inquiry: Inquiry) -> tuple[DeliveryReport, str]:
    report, one = never_subscribed(inquiry)
    assert inquiry.manager.subscribe(one, "patient", 1)
    return report, one
