from typing import Any

from wsserver.access.principal import Principal
from wsserver.access.roles import RoleRights
from wsserver_core.scopes import Scope


def principal(patients: frozenset[str] | None, rights: RoleRights | None = None) -> Principal:
    return Principal("user-canary", "nurse", rights or RoleRights(), Scope(patients), 1_800_000_600)


def test_one_sees_the_patients_one_was_given_and_no_others() -> None:
    some = principal(frozenset({"1", "2"}))
    assert some.may_see("1")
    assert not some.may_see("3")
    assert not some.may_see("01")
    assert not some.may_see("*")


def test_none_is_every_patient_and_the_empty_set_is_nobody() -> None:
    assert principal(None).may_see("7")
    assert not principal(frozenset()).may_see("7")


def test_the_rights_of_the_role_are_the_rights_of_the_principal() -> None:
    rights = RoleRights(frozenset({"ecg"}), True, False, frozenset({"patient"}), frozenset({"note"}))
    one = principal(None, rights)
    assert one.may_subscribe("ecg")
    assert not one.may_subscribe("alerts")
    assert one.may_wildcard()
    assert one.may_publish("patient", "note")
    assert not one.may_publish("all", "note")
    assert not principal(None).may_wildcard()


def test_a_principal_does_not_show_itself_and_cannot_be_changed() -> None:
    one: Any = principal(frozenset({"patient-canary"}))
    assert "canary" not in repr(one) + str(one)
    try:
        one.patients = None
    except AttributeError:
        return
    raise AssertionError("rights were changed in place")
