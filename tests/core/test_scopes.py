"""Who may see whom: sets of patients, and equal sets as one object."""

import gc
import random
import sys
from typing import Any

import pytest
from ward import EVERYONE, seeing

from wsserver_core.scopes import Scope, ScopeTable

pytestmark = pytest.mark.core


def test_a_scope_sees_its_patients_or_everyone() -> None:
    assert seeing("1").sees("1")
    assert not seeing("1").sees("2")
    assert not seeing().sees("1")
    assert EVERYONE.sees("1")


def test_a_scope_is_asked_about_a_text() -> None:
    for scope in (seeing("1"), EVERYONE):
        for wrong in (1, None):
            with pytest.raises(TypeError):
                scope.sees(wrong)


def test_equal_sets_of_patients_share_one_scope() -> None:
    table = ScopeTable()
    scope = table.intern(["1", "2"])
    assert table.intern(frozenset({"2", "1"})) is scope
    assert table.intern(["1"]) is not scope
    assert scope.patients == frozenset({"1", "2"})


def test_no_patient_and_every_patient_are_two_scopes() -> None:
    table = ScopeTable()
    nobody, everyone = table.intern([]), table.intern(None)
    assert nobody is not everyone
    assert (nobody.patients, everyone.patients) == (frozenset(), None)
    assert not nobody.sees("1")
    assert everyone.sees("1")


def test_a_scope_nobody_holds_is_forgotten() -> None:
    table = ScopeTable()
    scope = table.intern(["1"])
    everyone = table.intern(None)
    assert table.intern(None) is everyone
    assert len(table) == 2
    del scope
    assert len(table) == 1
    del everyone
    assert len(table) == 0


@pytest.mark.parametrize("wrong", ["123", "", [1], 5])
def test_a_table_takes_texts_only(wrong: Any) -> None:
    table = ScopeTable()
    with pytest.raises(TypeError):
        table.intern(wrong)
    assert len(table) == 0


@pytest.mark.parametrize("wrong", [{"1"}, ["1"], frozenset({1}), "1"])
def test_a_scope_takes_a_frozenset_or_none(wrong: Any) -> None:
    with pytest.raises(TypeError):
        Scope(wrong)


def test_what_a_scope_sees_cannot_be_changed() -> None:
    scope = seeing("1")
    with pytest.raises(AttributeError):
        scope.patients = None


@pytest.mark.parametrize("size", [0, 1, 4, 5, 100])
def test_few_patients_and_many_are_seen_alike(size: int) -> None:
    patients = frozenset(map(str, range(size)))
    scope = ScopeTable().intern(patients)
    assert scope.patients == patients
    assert (len(scope), bool(scope)) == (size, True)
    assert [scope.sees(str(one)) for one in range(size + 1)] == [True] * size + [False]


def test_a_scope_of_two_patients_is_small_and_the_collector_does_not_look_at_it() -> None:
    scope = seeing("1", "2")
    assert not gc.is_tracked(scope)
    assert sys.getsizeof(scope) <= 64


def test_a_table_finds_each_of_many_scopes_while_others_come_and_go() -> None:
    dice = random.Random(7)
    table = ScopeTable()
    held: dict[frozenset[str] | None, Scope] = {}
    for _ in range(20_000):
        number = dice.randrange(400)
        wanted = None if number == 399 else frozenset(map(str, range(number, number + number % 7)))
        if dice.random() < 0.5:
            held.pop(wanted, None)
        else:
            scope = table.intern(wanted)
            assert held.setdefault(wanted, scope) is scope
            assert scope.patients == wanted
            del scope
        assert len(table) == len(held)
    assert all(table.intern(wanted) is scope for wanted, scope in held.items())
    held.clear()
    assert len(table) == 0


def test_scopes_outlive_the_name_of_their_table() -> None:
    table = ScopeTable()
    scopes = [table.intern([str(one)]) for one in range(200)]
    del table
    assert all(scope.sees(str(one)) for one, scope in enumerate(scopes))
    scopes.clear()
