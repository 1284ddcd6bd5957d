"""Delivery in miniature, right or with one fault: what the laws are proved on, without a server.

``scenario(fault)`` is what the journals would hold after one and the same morning: three clients,
cuts, a revocation, a history that is too short, a restart of the server. A fault is one word at
one place below.
"""

from dataclasses import dataclass, field
from typing import Any

from laws.journal import (
    Answer,
    Arrival,
    GapTold,
    Line,
    Opened,
    Outcome,
    Rest,
    Rights,
    Send,
    Stored,
    StoreRead,
    Watch,
    checksum,
)
from laws.model import asks_for, reaches

LOG = "k1d"
HISTORY = 12
"""Messages that are kept for those who come back."""


@dataclass
class Kept:
    seq: int
    topic: str
    patient: str | None
    body: dict[str, Any]


@dataclass
class Customer:
    """A client, and what the server knows of it."""

    name: str
    topic: str
    filters: dict[str, Any] = field(default_factory=dict)
    patients: list[str] | None = None
    connection: int = 0
    connected: bool = False
    cursor: int = 0
    queue: list[Kept] = field(default_factory=list)


class DeliveryDouble:
    """Publishes, delivers, replays. Every step takes one second."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.lines: list[Line] = []
        self.now = 0.0
        self.head = 0
        self.history: list[Kept] = []
        self.committed: list[Kept] = []
        self.customers: list[Customer] = []

    def has(self, fault: str) -> bool:
        return self.fault == fault

    def write(self, line: Line) -> None:
        self.lines.append(line)

    def step(self) -> float:
        self.now += 1
        return self.now

    # -- publishing

    def publish(
        self, key: str, topic: str, patient: str | None = None, *, told: bool = True, **body: Any
    ) -> None:
        body = {"key": key, **body}
        self.write(Send(key=key, publisher="p", topic=topic, patient=patient, body=body, at=self.step()))
        if self.has("reuse a seq") and key == "m9":
            self.head -= 1
        self.head += 1
        kept = Kept(self.head, topic, patient, body)
        self.history.append(kept)
        if not (self.has("acknowledge before the commit") and key == "m5"):
            self.committed.append(kept)
        delivered = sum(self.deliver(customer, kept) for customer in self.customers if customer.connected)
        self.answer(kept, delivered, told=told)

    def answer(self, kept: Kept, delivered: int, *, told: bool = True) -> None:
        key = kept.body["key"]
        matched = delivered + (self.has("miscount the report") and key == "m3")
        report = {
            "message_id": f"id{kept.seq}",
            "topic": kept.topic,
            "log": LOG,
            "seq": kept.seq,
            "durability": "fsync",
            "duplicate": False,
            "considered": matched,
            "filtered": 0,
            "denied": 0,
            "matched": matched,
            "delivered": delivered,
            "refused": {},
        }
        self.write(
            Answer(key=key, at=self.step(), status=200 if told else 0, report=report if told else None)
        )
        written = delivered - (self.has("forget one in the outcome") and key == "m3")
        self.write(Outcome(id=f"id{kept.seq}", written=written, queued=0, dropped={}))

    def send_again(self, key: str) -> None:
        """A publisher that was not answered tries once more."""
        first = next(one for one in self.history if one.body["key"] == key)
        self.write(
            Send(
                key=key,
                publisher="p",
                topic=first.topic,
                patient=first.patient,
                body=first.body,
                at=self.step(),
            )
        )
        if self.has("store a retry twice"):
            self.head += 1
            first = Kept(self.head, first.topic, first.patient, first.body)
            self.history.append(first)
            self.committed.append(first)
        self.answer(first, 0)
        if self.has("store a retry twice"):
            for customer in self.customers:
                self.deliver(customer, first)

    def refuse(self, key: str, topic: str) -> None:
        body = {"key": key}
        self.write(Send(key=key, publisher="p", topic=topic, patient=None, body=body, at=self.step()))
        if self.has("deliver what was refused"):
            self.head += 1
            for customer in self.customers:
                self.deliver(customer, Kept(self.head, topic, None, body))
        self.write(Answer(key=key, at=self.step(), status=400))

    def is_due(self, customer: Customer, kept: Kept) -> bool:
        if not reaches(kept.topic, customer.topic):
            return False
        return self.has("ignore the filter") or asks_for(customer.filters, kept.body)

    def deliver(self, customer: Customer, kept: Kept) -> bool:
        if not self.is_due(customer, kept):
            return False
        if not may_see(customer, kept.patient) and not self.has("skip authorisation"):
            return False
        key = kept.body["key"]
        first = customer is self.customers[0]
        if self.has("drop one") and key == "m4" and first:
            return True
        if self.has("swap two") and key in {"m3", "m4"} and first:
            customer.queue.append(kept)
            if key == "m4":
                for one in reversed(customer.queue):
                    self.arrive(customer, one)
            return True
        self.arrive(customer, kept)
        if self.has("deliver twice") and key == "m4" and first:
            self.arrive(customer, kept)
        if self.has("invent a message") and key == "m4" and first:
            self.head += 1
            self.arrive(customer, Kept(self.head, kept.topic, None, {"key": "m4.5", "hr": 99}))
        return True

    def arrive(self, customer: Customer, kept: Kept) -> None:
        body = kept.body
        if self.has("change the content") and body["key"] == "m4" and customer is self.customers[0]:
            body = {**body, "hr": 0}
        forgetful = self.has("forget the cursor") and customer.connection > 1
        handled = kept.seq > customer.cursor or forgetful
        self.write(
            Arrival(
                client=customer.name,
                connection=customer.connection,
                at=self.now,
                log=LOG,
                seq=kept.seq,
                id=f"id{kept.seq}",
                topic=kept.topic,
                key=body["key"],
                crc=checksum(body),
                handled=handled,
            )
        )
        customer.cursor = max(customer.cursor, kept.seq)

    # -- connecting

    def enter(self, customer: Customer) -> None:
        self.customers.append(customer)
        self.grant(customer, customer.patients)
        self.open(customer, None)
        customer.cursor = self.head
        self.write(
            Watch(
                client=customer.name,
                topic=customer.topic,
                filters=customer.filters,
                at=self.step(),
                position={LOG: self.head},
            )
        )

    def open(self, customer: Customer, given: int | None) -> None:
        customer.connection += 1
        customer.connected = True
        at = self.step()
        self.write(
            Opened(
                client=customer.name,
                user=customer.name,
                connection=customer.connection,
                dialed=at,
                at=at,
                given=None if given is None else {LOG: given},
                resumed=given is not None,
                cursor={LOG: self.head},
            )
        )

    def cut(self, *customers: Customer) -> None:
        for customer in customers:
            customer.connected = False

    def grant(self, customer: Customer, patients: list[str] | None) -> None:
        customer.patients = patients
        self.write(Rights(user=customer.name, patients=patients, asked=self.step(), held=self.step()))

    def resume(self, customer: Customer) -> None:
        given = customer.cursor
        self.open(customer, given)
        start = given + 2 if self.has("move the cursor too far") else given
        if self.has("replay what was handled") or self.has("forget the cursor"):
            start -= 2
        kept = self.history[-HISTORY:]
        lost = [one for one in self.history[:-HISTORY] if one.seq > start and self.is_due(customer, one)]
        lost = [one for one in lost if may_see(customer, one.patient)]
        if lost and not self.has("trim silently"):
            self.tell(customer, lost)
        if self.has("alarm without need") and customer is self.customers[0]:
            self.tell(customer, kept[:1], reason="limit")
        due = [one for one in kept if one.seq > start and self.is_due(customer, one)]
        if not self.has("skip authorisation at replay"):
            due = [one for one in due if may_see(customer, one.patient)]
        if self.has("replay out of order"):
            due.reverse()
        if self.has("replay the newest only"):
            due = due[-2:]
        for one in due:
            self.arrive(customer, one)

    def tell(self, customer: Customer, lost: list[Kept], reason: str = "trimmed") -> None:
        if self.has("lose a gap") and customer is self.customers[0]:
            return
        first = lost[0].seq + self.has("tell a wrong range")
        count = len(lost) + self.has("miscount a gap")
        self.write(
            GapTold(
                client=customer.name,
                connection=customer.connection,
                at=self.now,
                reason=reason,
                log=LOG,
                first=first,
                last=lost[-1].seq,
                count=count,
            )
        )

    # -- the end

    def finish(self) -> list[Line]:
        for customer in self.customers:
            at = self.step()
            self.write(Rest(client=customer.name, asked=at, at=at, cursor={LOG: self.head}))
        for kept in self.committed:
            body = {**kept.body, "hr": 1} if self.has("store other content") and kept.seq == 4 else kept.body
            self.write(
                Stored(
                    log=LOG,
                    seq=kept.seq,
                    id=f"id{kept.seq}",
                    topic=kept.topic,
                    key=body["key"],
                    crc=checksum(body),
                )
            )
        self.write(StoreRead(logs={LOG: 1}))
        return self.lines


def may_see(customer: Customer, patient: str | None) -> bool:
    return patient is None or customer.patients is None or patient in customer.patients


def scenario(fault: str = "") -> list[Line]:
    """The lines of all journals."""
    double = DeliveryDouble(fault)
    ward = Customer("ward", "*")
    nurse = Customer("nurse", "patient:*", patients=["1", "2"])
    desk = Customer("desk", "patient:1", {"hr": {"$gte": 50}})
    for customer in (ward, nurse, desk):
        double.enter(customer)
    for number in range(1, 6):
        double.publish(f"m{number}", "patient:1", "1", hr=40 + 5 * number)
    double.publish("m6", "patient:3", "3", hr=60)
    double.publish("m7", "ecg:*", None, hr=60)
    double.refuse("refused", "ecg:*")
    double.cut(ward, nurse)
    double.publish("m8", "patient:1", "1", hr=55)
    double.publish("m9", "patient:2", "2", hr=55)
    double.publish("m10", "ecg:*", hr=55, told=False)
    double.grant(nurse, ["1"])
    double.send_again("m10")
    for customer in (ward, nurse):
        double.resume(customer)
    double.cut(desk, ward)
    for number in range(11, 31):
        double.publish(f"m{number}", "patient:1", "1", hr=40 + number)
    double.resume(desk)
    double.resume(ward)
    double.publish("m31", "patient:1", "1", hr=70)
    return double.finish()
