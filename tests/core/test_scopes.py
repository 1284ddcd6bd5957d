"""Who may see whom: sets of patients, and equal sets as one object."""

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
