"""Who gets what, over long random lives of an index, compared with a model that asks everyone.

The model keeps a plain list of subscriptions and holds each message against each of them. The
index must name the same connections and the same counts, whatever happened before.
"""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
import reference_filters

from wsserver_core.filters import FilterInterner, FilterLimits
from wsserver_core.recipients import Recipients
from wsserver_core.topics import Membership, Scope, ScopeTable, Selection, TopicIndex

pytestmark = pytest.mark.core

STEPS = 20_000

PATIENTS = [str(number) for number in range(12)]
TYPES = ["patient", "patient", "patient", "ecg", "alerts"]
FILTERS: list[dict[str, Any] | None] = [
    None,
    {},
    {"severity": "high"},
    {"severity": ["low", "high"]},
    {"patient_id": ["1", "2", 3]},
    {"lead": None},
]
MESSAGES: list[dict[str, Any]] = [{}, {"severity": "high"}, {"severity": "low", "lead": None}, {"lead": "II"}]
DERIVED = {"severity": "low"}

Address = tuple[str, str]


@dataclass
class User:
    """A connection of the model: whom it may see and what it subscribed to."""

    patients: frozenset[str] | None
    subscriptions: dict[Address, object] = field(default_factory=dict)


class Model:
    """Every rule in its shortest form."""

    def __init__(self) -> None:
        self.users: dict[int, User] = {}

    def publish(
        self, kind: str | None, target: str | None, patient: str | None, message: dict[str, Any], exclude: int
    ) -> tuple[set[int], Selection, list[tuple[int, Address | None]]]:
        if kind == "patient" and target is not None:
            patient = target
        considered = denied = filtered = 0
        matching = []
        for handle, user in self.users.items():
            for address, source in user.subscriptions.items() if kind else [(None, None)]:
                if kind and not self.addressed(address, kind, target):
                    continue
                considered += 1
                if patient is not None and user.patients is not None and patient not in user.patients:
                    denied += 1
                elif not reference_filters.matches(source, message, DERIVED):
                    filtered += 1
                else:
                    matching.append((handle, address))
        counts = Selection(considered, len(matching), filtered, denied)
        owners = [(handle, address) for handle, address in matching if handle != exclude]
        return {handle for handle, _ in owners}, counts, owners

    @staticmethod
    def addressed(address: Address | None, kind: str, target: str | None) -> bool:
        if address == ("*", "*"):
            return True
        return address is not None and address[0] == kind and (target is None or address[1] in (target, "*"))


class Stepper:
    """Does the same to the index and to the model."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.crowd = self.dice.choice((4, 15, 40))
        self.index = TopicIndex()
        self.model = Model()
        self.scopes = ScopeTable()
        self.filters = FilterInterner(FilterLimits())
        self.out = Recipients()
        self.admissions: dict[int, Membership] = {}
        self.memberships: dict[tuple[int, Address], Membership] = {}
        self.generation = 0
        self.published = {"reached": 0, "denied": 0, "filtered": 0}

    def step(self) -> None:
        acts = [self.connect, self.close, self.rescope, self.unsubscribe, self.subscribe, self.publish]
        self.dice.choices(acts, weights=[3, 2, 2, 8, 20, 25])[0]()

    def patients(self) -> frozenset[str] | None:
        if self.dice.random() < 0.2:
            return None
        return frozenset(self.dice.sample(PATIENTS, self.dice.choice((0, 1, 1, 2, 3, 6, 12))))

    def scope(self, patients: frozenset[str] | None) -> Scope:
        # Equal scopes are usually one object, and nothing may depend on it.
        return self.scopes.intern(patients) if self.dice.random() < 0.8 else Scope(patients)

    def somebody(self) -> int:
        return self.dice.choice(list(self.model.users)) if self.model.users else 0

    def connect(self) -> None:
        if len(self.model.users) >= self.crowd:
            return
        self.generation += 1
        taken = {handle & 0xFFFFFFFF for handle in self.model.users}
        handle = self.generation << 32 | min(set(range(self.crowd)) - taken)
        patients = self.patients()
        self.model.users[handle] = User(patients)
        self.admissions[handle] = self.index.admit(handle, self.scope(patients))

    def close(self) -> None:
        if handle := self.somebody():
            user = self.model.users.pop(handle)
            self.index.remove(self.admissions.pop(handle))
            for address in user.subscriptions:
                self.drop(handle, address)

    def drop(self, handle: int, address: Address) -> None:
        membership = self.memberships.pop((handle, address))
        program = membership.program
        assert program is not None
        self.filters.release(program)
        self.index.remove(membership)

    def rescope(self) -> None:
        """New rights; subscriptions to patients out of sight stay and must stay silent."""
        if handle := self.somebody():
            user = self.model.users[handle]
            user.patients = self.patients()
            scope = self.scope(user.patients)
            self.index.move(self.admissions[handle], scope)
            for address in user.subscriptions:
                self.index.move(self.memberships[handle, address], scope)

    def subscribe(self) -> None:
        """Also replaces: the new one enters before the old one leaves."""
        if handle := self.somebody():
            user = self.model.users[handle]
            address = (self.dice.choice(TYPES), self.dice.choice([*PATIENTS, "*", "*", "*"]))
            if self.dice.random() < 0.1:
                address = ("*", "*")
            source = self.dice.choice(FILTERS)
            scope = self.admissions[handle].scope
            assert scope is not None
            fresh = self.index.add(handle, scope, *address, self.filters.intern(source), (handle, address))
            if address in user.subscriptions:
                self.drop(handle, address)
            user.subscriptions[address] = source
            self.memberships[handle, address] = fresh

    def unsubscribe(self) -> None:
        if self.memberships:
            handle, address = self.dice.choice(list(self.memberships))
            del self.model.users[handle].subscriptions[address]
            self.drop(handle, address)

    def publish(self) -> None:
        dice = self.dice
        patient = dice.choice([None, *PATIENTS, "nobody"])
        kind, target = dice.choice(
            [
                ("patient", dice.choice(PATIENTS)),
                ("patient", None),
                ("ecg", dice.choice(PATIENTS)),
                ("ecg", None),
                ("alerts", None),
                ("unknown", None),
                ("unknown", "1"),
                (None, None),
            ]
        )
        if kind == "patient" and target is not None and patient is not None:
            patient = target
        # The index goes by the patient it is told; what the body says matters to filters only.
        message = {**dice.choice(MESSAGES), "patient_id": dice.choice((patient, "x"))}
        exclude = self.somebody() if dice.random() < 0.2 else 0

        reached, counts, owners = self.model.publish(kind, target, patient, message, exclude)
        assert self.index.select(kind, target, patient, message, DERIVED, self.out, exclude) == counts
        handles = self.out.handles()
        assert len(handles) == len(set(handles))
        assert set(handles) == reached
        found = self.index.owners(kind, target, patient, message, DERIVED, exclude)
        if kind is None:
            assert found == [None] * len(owners)
        else:
            assert sorted(found) == sorted(owners)
        self.published["reached"] += bool(reached)
        self.published["denied"] += bool(counts.denied)
        self.published["filtered"] += bool(counts.filtered)

    def check_tables(self) -> None:
        users = self.model.users
        topics = {address for user in users.values() for address in user.subscriptions}
        wild = [membership.scope for (_, to), membership in self.memberships.items() if to[1] == "*"]
        limited = [scope.patients for scope in wild if scope is not None and scope.patients is not None]
        sizes = self.index.sizes()
        assert len(self.index) == len(self.memberships)
        assert self.index.topics == len(topics) == sizes["topics"]
        assert sizes["types"] == len({kind for kind, _ in topics})
        assert sizes["admissions"] == len(users) == self.index.admitted
        assert sizes["memberships"] == len(users) + len(self.memberships)
        assert sizes["registered"] == len({id(scope) for scope in wild})
        assert sizes["full_scopes"] == len({id(s) for s in wild if s is not None and s.patients is None})
        assert sizes["seers"] == len(frozenset().union(*limited))


@pytest.mark.parametrize("seed", range(5))
def test_the_index_agrees_with_the_model_at_every_step(seed: int) -> None:
    stepper = Stepper(seed)
    for number in range(STEPS):
        stepper.step()
        if number % 100 == 0:
            stepper.check_tables()
    assert min(stepper.published.values()) > STEPS / 100, stepper.published

    while stepper.model.users:
        stepper.close()
    assert set(stepper.index.sizes().values()) == {0}
    assert len(stepper.filters) == 0
    assert len(stepper.scopes) == 0
