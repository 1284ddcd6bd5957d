"""Who gets what, over long random lives of an index, compared with a model that asks everyone.

The model keeps plain lists of connections and subscriptions and holds each message against
each of them. The index must say the same after every step, whatever happened before.
"""

import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

import pytest
import reference_filters

from wsserver_core.filters import FilterInterner, FilterLimits, Program
from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope, ScopeTable
from wsserver_core.topics import FilterFigures, Record, Selection, TopicIndex

pytestmark = pytest.mark.core

STEPS = 5_000

PATIENTS = [str(number) for number in range(8)]
ALL_PATIENTS = frozenset(PATIENTS)
TYPES = ["patient", "patient", "patient", "ecg", "alerts"]
DERIVED = {"severity": "low", "ward": "north"}
# With more distinct filters than the first a shelf begins to be searched by a Matcher, with fewer than the
# second it ends.
MANY_FILTERS, FEW_FILTERS = 24, 12

Address = tuple[str, str]
Shelf = tuple[Address, Scope | None]


def is_settled(address: Address) -> bool:
    """One patient's: whoever is subscribed may see him."""
    return address[0] == "patient" and address[1] != "*"


@dataclass
class Subscription:
    number: int
    program: Program
    source: dict[str, Any] | None
    renewed_at: float
    warned: bool = False
    hinted: bool = False


@dataclass
class Client:
    """A connection: whom it may see, and its subscriptions, oldest first."""

    handle: int
    scope: Scope
    owner: object
    subscriptions: dict[Address, Subscription] = field(default_factory=dict)

    def sees(self, patient: str | None) -> bool:
        return patient is None or self.scope.patients is None or patient in self.scope.patients

    def record(self, address: Address) -> Record:
        it = self.subscriptions[address]
        return Record(
            it.number, self.handle, self.owner, *address, it.program, it.renewed_at, it.warned, it.hinted
        )


@dataclass
class Group:
    """Subscribers of a topic with one filter, all of them or those with one scope."""

    size: int = 0
    tested: int = 0
    matched: int = 0


class Model:
    """Every rule in its shortest form."""

    def __init__(self) -> None:
        self.clients: dict[int, Client] = {}
        self.shelves: defaultdict[Shelf, dict[Program, Group]] = defaultdict(dict)
        self.former: Counter[tuple[Program, str]] = Counter()
        self.searched: set[Shelf] = set()
        self.switches: Counter[str] = Counter()

    # -- groups, as far as they can be seen: in figures and in how many shelves there are

    @staticmethod
    def shelves_of(client: Client, address: Address) -> list[Shelf]:
        return [(address, None)] if is_settled(address) else [(address, None), (address, client.scope)]

    def join(self, shelf: Shelf, program: Program) -> None:
        self.shelves[shelf].setdefault(program, Group()).size += 1
        if shelf not in self.searched and len(self.shelves[shelf]) > MANY_FILTERS:
            self.searched.add(shelf)
            self.switches[f"{self.kind(shelf)} up"] += 1

    def leave(self, shelf: Shelf, program: Program) -> None:
        group = self.shelves[shelf][program]
        group.size -= 1
        if group.size:
            return
        self.former[program, "tested"] += group.tested
        self.former[program, "matched"] += group.matched
        del self.shelves[shelf][program]
        if shelf in self.searched and len(self.shelves[shelf]) < FEW_FILTERS:
            self.searched.discard(shelf)
            self.switches[f"{self.kind(shelf)} down"] += 1
        if not self.shelves[shelf]:
            del self.shelves[shelf]

    @staticmethod
    def kind(shelf: Shelf) -> str:
        address, scope = shelf
        return "scoped" if scope is not None else "settled" if is_settled(address) else "all"

    def forget(self, program: Program) -> None:
        """Nobody uses it any more: who writes the same again gets another program."""
        del self.former[program, "tested"], self.former[program, "matched"]

    # -- messages

    @staticmethod
    def addressed(address: Address, kind: str, target: str | None) -> bool:
        if address == ("*", "*"):
            return True
        return address[0] == kind and (target is None or address[1] in (target, "*"))

    def publish(
        self, kind: str | None, target: str | None, patient: str | None, message: dict[str, Any], exclude: int
    ) -> tuple[set[int], Selection, list[int]]:
        if kind == "patient" and target is not None:
            patient = target
        if kind is None:
            reached = {client.handle for client in self.clients.values() if client.sees(patient)}
            denied = len(self.clients) - len(reached)
            return reached - {exclude}, Selection(len(self.clients), len(reached), 0, denied), []
        considered = denied = filtered = matching = 0
        numbers, handles = [], set()
        verdicts: dict[Program, bool] = {}
        for client in self.clients.values():
            for address, subscription in client.subscriptions.items():
                if not self.addressed(address, kind, target):
                    continue
                considered += 1
                if not client.sees(patient):
                    denied += 1
                    continue
                program = subscription.program
                if program not in verdicts:
                    verdicts[program] = reference_filters.matches(subscription.source, message, DERIVED)
                if not verdicts[program]:
                    filtered += 1
                    continue
                matching += 1
                if client.handle != exclude:
                    numbers.append(subscription.number)
                    handles.add(client.handle)
        self.count(kind, target, patient, verdicts)
        return handles, Selection(considered, matching, filtered, denied), numbers

    def count(
        self, kind: str, target: str | None, patient: str | None, verdicts: dict[Program, bool]
    ) -> None:
        for (address, scope), groups in self.shelves.items():
            if not self.addressed(address, kind, target):
                continue
            if is_settled(address) and patient not in (None, address[1]):
                self.count_apart(address, patient, verdicts)
                continue
            if is_settled(address):
                is_asked = True
            elif patient is None:
                is_asked = scope is None
            else:
                is_asked = scope is not None and scope.sees(patient)
            if is_asked:
                for program, group in groups.items():
                    group.tested += 1
                    group.matched += verdicts[program]

    def count_apart(self, address: Address, patient: str, verdicts: dict[Program, bool]) -> None:
        """A message about another patient counts where all subscribers of a group may see him."""
        sees: defaultdict[Program, list[bool]] = defaultdict(list)
        for client in self.clients.values():
            if address in client.subscriptions:
                sees[client.subscriptions[address].program].append(client.sees(patient))
        for program, group in self.shelves[address, None].items():
            if all(sees[program]):
                group.tested += 1
                group.matched += verdicts[program]


def filter_source(dice: random.Random) -> dict[str, Any] | None:
    """A filter of one of many kinds: each is searched in its own way when there are many."""
    number = 5 * dice.randrange(25)
    other = 10 * dice.randrange(8)
    order = dice.choice(("$gt", "$gte", "$lt", "$lte"))
    severity = dice.choice(("low", "high", "critical"))
    ward = dice.choice(("north", "south", None, 3, True))
    code = dice.choice(("A", "B", "AB", "C1", "1", "é"))
    kinds: list[dict[str, Any] | None] = [
        None,
        {},
        {"severity": severity},
        {"severity": ["low", "high"], "ward": ward},
        {"patient_id": ["1", str(number), other]},
        {"lead": dice.choice((None, "II", number))},
        {"vitals.hr": {order: number}},
        {"vitals.hr": {order: number + 0.5}},
        {"severity": severity, "vitals.hr": {order: number}},
        {"severity": [severity, "low"], "ward": [ward, "east"], "vitals.hr": {order: number}},
        {"vitals.hr": {"$gte": number, "$lt": number + 20}},
        {"vitals.hr": {order: number}, "vitals.spo2": {dice.choice(("$gt", "$lte")): other}},
        {"vitals.hr": {"$gt": number, "$lte": number + 30}, "vitals.spo2": {"$gte": other}, "ward": ward},
        {"code": {"$regex": f"^{code}[0-9]?{other % 7}"}},
        {"code": {"$regex": f"{code}|{number}$"}, "severity": severity},
        {"code": {"$prefix": f"{code}{other % 3}"}},
        {"code": {"$contains": f"{code}{other % 3}"}, "vitals.hr": {order: number}},
        {"ward": {"$ne": ward}, "vitals.hr": {order: number}},
        {"ward": {"$nin": [ward, "east"]}, "code": {"$exists": dice.random() < 0.5}},
        {"$or": [{"vitals.hr": {order: number}}, {"severity": severity, "ward": ward}]},
        {"$not": {"severity": severity, "vitals.hr": {order: number}}},
        {"$or": [{"lead": [number, "II"]}, {"lead": "II", "vitals.hr": {"$gt": other}}, {"ward": ward}]},
        {"$and": [{"$or": [{"ward": ward}, {"lead": number}]}, {"$or": [{"lead": "II"}, {"code": code}]}]},
        # More alternatives than an index takes: it is asked for every message.
        {"$and": [{"$or": [{f"flag{place}": number}, {"vitals.hr": {order: other}}]} for place in range(5)]},
        {"ward": [ward, "north", "south"], "severity": ["low", "high", "critical"], "lead": [number, "II"]},
    ]
    return dice.choice(kinds)


def message_of(dice: random.Random, patient: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {"patient_id": dice.choice((patient, "1", 5, "x"))}
    if dice.random() < 0.8:
        # At a bound, beside one, and beyond all.
        heart_rate = 5 * dice.randrange(27) + dice.choice((0, 0, 0, 0.5, 1))
        message["vitals"] = {"hr": dice.choice((heart_rate, heart_rate, str(heart_rate), None, True))}
        if dice.random() < 0.7:
            message["vitals"]["spo2"] = 10 * dice.randrange(9)
        if dice.random() < 0.2:
            message["vitals"] = [message["vitals"], {"hr": 5 * dice.randrange(27)}]
    if dice.random() < 0.7:
        message["severity"] = dice.choice(("low", "high", "critical", ["high", "low"], None))
    if dice.random() < 0.6:
        message["ward"] = dice.choice(("north", "south", None, 3, 3.0, True, ["east", "south", 3], []))
    if dice.random() < 0.6:
        message["lead"] = dice.choice((None, "II", 5 * dice.randrange(25), [0, 5, "II"]))
    if dice.random() < 0.7:
        message["code"] = dice.choice(("A", "B", "AB", "C1", "1", "é")) + str(dice.randrange(80))
    if dice.random() < 0.3:
        message["flag0"] = 5 * dice.randrange(25)
    return message


class Stepper:
    """Does the same to the index and to the model."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.index = TopicIndex()
        self.model = Model()
        self.scopes = ScopeTable()
        self.filters = FilterInterner(FilterLimits())
        self.out = Recipients()
        self.crowd = 60
        self.generation = 0
        self.now = 0.0
        self.ended: list[int] = []
        self.given: set[int] = set()
        self.published: Counter[str] = Counter()
        self.acted: Counter[str] = Counter()
        self.fashion: Address = ("ecg", "*")
        self.growth = 0.2
        self.change_mood()

    def change_mood(self) -> None:
        """For some time one topic is in fashion, and grows or shrinks, with few scopes or many."""
        dice = self.dice
        if self.growth < 1 or dice.random() < 0.3:
            self.fashion = dice.choice(
                [("patient", dice.choice(PATIENTS)), ("patient", "*"), ("ecg", "*"), ("ecg", "1"), ("*", "*")]
            )
            self.growth = dice.choice((2.0, 4.0, 6.0))
        else:
            self.growth = dice.choice((0.4, 0.7))
        self.devotion = dice.choice((0.3, 0.7, 0.9))
        self.originality = dice.choice((0.2, 0.9, 1.0))
        self.crowd = dice.choice((6, 60, 60))
        sets = [None, ALL_PATIENTS, *(self.some_patients() for _ in range(dice.choice((0, 2, 12))))]
        self.sets = sets[: dice.choice((1, 2, len(sets)))]

    def some_patients(self) -> frozenset[str]:
        return frozenset(self.dice.sample(PATIENTS, self.dice.choice((0, 1, 1, 2, 3, 6))))

    def step(self) -> None:
        acts = {
            self.connect: 6,
            self.close: 1,
            self.rescope: 2,
            self.subscribe: 12 * self.growth,
            self.replace: 6,
            self.unsubscribe: 8 / self.growth,
            self.renew: 2,
            self.try_what_is_refused: 2,
            self.publish: 20,
        }
        if self.dice.random() < 0.01:
            self.change_mood()
        act = self.dice.choices(list(acts), weights=list(acts.values()))[0]
        self.now += 1.0
        self.acted[act.__name__] += 1
        act()
        self.check()

    # -- steps

    def scope(self) -> Scope:
        # Equal scopes are usually one object, and nothing may depend on it.
        patients = self.dice.choice(self.sets)
        return self.scopes.intern(patients) if self.dice.random() < 0.95 else Scope(patients)

    def somebody(self) -> Client | None:
        clients = self.model.clients
        return clients[self.dice.choice(list(clients))] if clients else None

    def some_subscription(self) -> tuple[Client, Address] | None:
        there = [client for client in self.model.clients.values() if client.subscriptions]
        if not there:
            return None
        client = self.dice.choice(there)
        if self.fashion in client.subscriptions and self.dice.random() < self.devotion:
            return client, self.fashion
        return client, self.dice.choice(list(client.subscriptions))

    def some_program(self) -> tuple[Program, dict[str, Any] | None]:
        common = [None, {"severity": "high"}, {"vitals.hr": {"$gt": 60}}]
        original = self.dice.random() < self.originality
        source = filter_source(self.dice) if original else self.dice.choice(common)
        return self.filters.intern(source), source

    def connect(self) -> None:
        clients = self.model.clients
        if len(clients) >= self.crowd:
            return
        self.generation += 1
        taken = {handle & 0xFFFFFFFF for handle in clients}
        handle = self.generation << 32 | min(set(range(len(taken) + 1)) - taken)
        client = clients[handle] = Client(handle, self.scope(), f"owner {handle}")
        self.index.admit(handle, client.scope, client.owner)

    def close(self) -> None:
        client = self.somebody()
        if client is None:
            return
        addresses = list(client.subscriptions)
        self.dice.shuffle(addresses)
        for address in addresses:
            with pytest.raises(ValueError):
                self.index.dismiss(client.handle)
            self.end(client, address)
        assert self.index.dismiss(client.handle) is True
        assert self.index.dismiss(client.handle) is False
        del self.model.clients[client.handle]

    def end(self, client: Client, address: Address) -> None:
        subscription = client.subscriptions[address]
        assert self.index.remove(subscription.number) is subscription.program
        assert self.index.remove(subscription.number) is None
        self.ended_in_model(client, address)

    def ended_in_model(self, client: Client, address: Address) -> None:
        subscription = client.subscriptions.pop(address)
        for shelf in self.model.shelves_of(client, address):
            self.model.leave(shelf, subscription.program)
        self.ended.append(subscription.number)
        self.release(subscription.program)
        assert self.index.find(client.handle, *address) == 0

    def release(self, program: Program) -> None:
        before = len(self.filters)
        self.filters.release(program)
        if len(self.filters) < before:
            self.model.forget(program)

    def rescope(self) -> None:
        client = self.somebody()
        if client is None:
            return
        scope = self.scope()
        lost = [
            address for address in client.subscriptions if is_settled(address) and not scope.sees(address[1])
        ]
        expected = [client.record(address) for address in lost]
        assert self.index.rescope(client.handle, scope) == expected
        former, client.scope = client.scope, scope
        for address in lost:
            self.ended_in_model(client, address)
        if scope is former:
            return
        for address, subscription in client.subscriptions.items():
            if len(self.model.shelves_of(client, address)) == 2:
                self.model.leave((address, former), subscription.program)
                self.model.join((address, scope), subscription.program)

    def subscribe(self) -> None:
        dice = self.dice
        without = [it for it in self.model.clients.values() if self.fashion not in it.subscriptions]
        client = dice.choice(without) if without and dice.random() < 0.9 else self.somebody()
        if client is None:
            return
        address = self.fashion
        if dice.random() > self.devotion:
            address = (dice.choice(TYPES), dice.choice([*PATIENTS, "*", "*", "*"]))
        if dice.random() < 0.05:
            address = ("*", "*")
        program, source = self.some_program()
        if address in client.subscriptions or (is_settled(address) and not client.sees(address[1])):
            with pytest.raises(ValueError):
                self.index.add(client.handle, *address, program, self.now)
            self.release(program)
            return
        number = self.index.add(client.handle, *address, program, self.now)
        assert number not in self.given
        self.given.add(number)
        client.subscriptions[address] = Subscription(number, program, source, self.now)
        for shelf in self.model.shelves_of(client, address):
            self.model.join(shelf, program)

    def replace(self) -> None:
        chosen = self.some_subscription()
        if chosen is None:
            return
        client, address = chosen
        subscription = client.subscriptions[address]
        program, source = self.some_program()
        former = subscription.program
        assert self.index.replace(subscription.number, program, self.now) is former
        if former is not program:
            # The subscription never stands in both groups, and the former may be the topic's last.
            for shelf in self.model.shelves_of(client, address):
                self.model.leave(shelf, former)
            for shelf in self.model.shelves_of(client, address):
                self.model.join(shelf, program)
        subscription.program, subscription.source = program, source
        subscription.renewed_at, subscription.warned = self.now, False
        subscription.hinted &= former is program
        self.release(former)

    def unsubscribe(self) -> None:
        chosen = self.some_subscription()
        if chosen is not None:
            self.end(*chosen)

    def renew(self) -> None:
        chosen = self.some_subscription()
        if chosen is None:
            return
        subscription = chosen[0].subscriptions[chosen[1]]
        what = self.dice.random()
        if what < 0.4:
            assert self.index.warn(subscription.number, True) is True
            subscription.warned = True
        elif what < 0.6:
            assert self.index.hint(subscription.number) is True
            subscription.hinted = True
        else:
            assert self.index.renew(subscription.number, self.now) is True
            subscription.renewed_at, subscription.warned = self.now, False
        before = self.now - self.dice.randrange(200)
        due = [record for record in self.records() if record.renewed_at <= before]
        assert sorted(self.index.due(before)) == sorted(due)

    def try_what_is_refused(self) -> None:
        client = self.somebody()
        if client is None:
            return
        program, _ = self.some_program()
        stranger = client.handle + (self.dice.choice((1, -1)) << 32)
        with pytest.raises(ValueError):
            self.index.add(stranger, "ecg", "*", program, self.now)
        with pytest.raises(ValueError):
            self.index.rescope(stranger, client.scope)
        with pytest.raises(ValueError):
            self.index.admit(client.handle, client.scope, None)
        with pytest.raises(ValueError):
            self.index.admit(stranger, client.scope, None)
        assert self.index.dismiss(stranger) is False
        assert self.index.find(stranger, *self.fashion) == 0
        if self.ended:
            number = self.dice.choice(self.ended)
            with pytest.raises(ValueError):
                self.index.replace(number, program, self.now)
            assert self.index.remove(number) is self.index.record(number) is None
            assert self.index.renew(number, self.now) is self.index.warn(number, True) is False
            assert self.index.figures(number) == (0, 0)
        self.release(program)

    def publish(self) -> None:
        dice = self.dice
        patient = dice.choice([None, *PATIENTS, "nobody"])
        kind, target = dice.choice(
            [
                ("patient", dice.choice(PATIENTS)),
                ("patient", None),
                ("patient", None),
                ("ecg", dice.choice(PATIENTS)),
                ("ecg", None),
                ("alerts", None),
                ("unknown", None),
                ("unknown", "1"),
                (None, None),
                self.fashion if "*" not in self.fashion else ("ecg", "1"),
            ]
        )
        if kind == "patient" and target is not None and patient is not None:
            patient = target
        # The index goes by the patient it is told; what the body says matters to filters only.
        message = message_of(dice, patient)
        client = self.somebody() if dice.random() < 0.2 else None
        exclude = 0 if client is None else client.handle

        expected = self.model.publish(kind, target, patient, message, exclude)
        reached, counts, numbers = expected
        preview, found = self.index.preview(kind, target, patient, message, DERIVED, exclude)
        assert self.index.select(kind, target, patient, message, DERIVED, self.out, exclude) == counts
        handles = self.out.handles()
        assert len(handles) == len(reached)
        assert set(handles) == reached
        assert (preview, sorted(found)) == (counts, sorted(numbers))
        self.published["reached"] += bool(reached)
        self.published["denied"] += bool(counts.denied)
        self.published["filtered"] += bool(counts.filtered)
        if kind is not None:
            addressed = sorted(self.index.addressed(kind, target, 10_000))
            assert len(addressed) == counts.considered
            assert set(addressed) >= set(numbers)

    # -- what must hold

    def records(self) -> list[Record]:
        clients = self.model.clients.values()
        return [client.record(address) for client in clients for address in client.subscriptions]

    def check(self) -> None:
        self.check_subscriptions()
        self.check_tables()
        if self.dice.random() < 0.1:
            self.check_figures()

    def check_subscriptions(self) -> None:
        index, total = self.index, 0
        for client in self.model.clients.values():
            subscriptions = client.subscriptions
            total += len(subscriptions)
            assert index.count(client.handle) == len(subscriptions)
            numbers = index.numbers(client.handle)
            assert [index.record(number) for number in numbers] == [
                client.record(address) for address in subscriptions
            ]
            assert index.find(client.handle, *self.fashion) == (
                subscriptions[self.fashion].number if self.fashion in subscriptions else 0
            )
            assert index.owner(client.handle) == client.owner
        assert len(index) == total
        assert index.admitted == len(self.model.clients)

    def check_tables(self) -> None:
        shelves = self.model.shelves
        topics = {address for address, scope in shelves if scope is None}
        scopes = {scope for _, scope in shelves if scope is not None}
        limited = [scope.patients for scope in scopes if scope.patients is not None]
        assert self.index.sizes() == {
            "connections": len(self.model.clients),
            "subscriptions": len(self.index),
            "topics": len(topics),
            "types": len({kind for kind, _ in topics}),
            "shelves": sum(scope is not None for _, scope in shelves),
            "patients": len(frozenset().union(*limited)),
            "full_scopes": len(scopes) - len(limited),
            "scopes": len(scopes),
        }
        assert self.index.topics == len(topics)

    def check_figures(self) -> None:
        totals: dict[Program, list[int]] = {}
        sizes: Counter[Address] = Counter()
        for (address, scope), groups in self.model.shelves.items():
            for program, group in groups.items():
                entry = totals.setdefault(program, [0, 0, 0])
                if scope is None:
                    entry[0] += group.size
                    sizes[address] += group.size
                entry[1] += group.tested
                entry[2] += group.matched
        former = self.model.former
        assert sorted(self.index.filters(), key=lambda entry: entry.program.serial) == sorted(
            (
                FilterFigures(
                    program, size, tested + former[program, "tested"], matched + former[program, "matched"]
                )
                for program, (size, tested, matched) in totals.items()
            ),
            key=lambda entry: entry.program.serial,
        )
        assert len(self.filters) == len(totals)
        assert sorted(self.index.topic_sizes()) == sorted((*address, size) for address, size in sizes.items())
        for most in (0, 1, 3, 1000):
            largest = self.index.largest_topics(most)
            assert [size for *_, size in largest] == sorted(sizes.values(), reverse=True)[:most]
            assert len({one[:2] for one in largest}) == len(largest)
            assert all(sizes[kind, target] == size for kind, target, size in largest)
        assert sorted(self.index.all_numbers()) == sorted(record.number for record in self.records())
        enough = self.dice.randrange(30)
        barren = []
        for client in self.model.clients.values():
            for address, subscription in client.subscriptions.items():
                groups = [
                    self.model.shelves[shelf][subscription.program]
                    for shelf in self.model.shelves_of(client, address)
                ]
                tested, matched = (
                    sum(group.tested for group in groups),
                    sum(group.matched for group in groups),
                )
                assert self.index.figures(subscription.number) == (tested, matched)
                if tested >= enough and not matched and not subscription.hinted:
                    barren.append(client.record(address))
        assert sorted(self.index.barren(enough, 10_000)) == sorted(barren)

    def finish(self) -> None:
        while self.model.clients:
            self.close()
            self.check()
        assert not self.model.shelves
        assert set(self.index.sizes().values()) == {0}
        assert self.index.filters() == self.index.all_numbers() == self.index.topic_sizes() == []
        assert (len(self.filters), self.filters.conditions, self.filters.fields) == (0, 0, [])
        assert not +self.model.former
        assert len(self.scopes) == 0


SWITCHES = [f"{kind} {way}" for kind in ("all", "settled", "scoped") for way in ("up", "down")]


def live(seed: int, steps: int) -> Stepper:
    stepper = Stepper(seed)
    for _ in range(steps):
        stepper.step()
    stepper.finish()
    # No act, no verdict was idle.
    assert min(stepper.acted.values()) > steps / 200, stepper.acted
    assert min(stepper.published[how] for how in ("reached", "denied", "filtered")) > steps / 20
    return stepper


@pytest.mark.parametrize("seed", range(3))
def test_the_index_agrees_with_the_model_at_every_step(seed: int) -> None:
    stepper = live(seed, STEPS)
    assert min(stepper.model.switches[f"all {way}"] for way in ("up", "down")) > 1, stepper.model.switches


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(100, 104))
def test_the_index_agrees_with_the_model_over_a_long_life(seed: int) -> None:
    stepper = live(seed, 100_000)
    assert min(stepper.model.switches[switch] for switch in SWITCHES) > 10, stepper.model.switches
