from typing import Any

import pytest

from wsserver.access.roles import RolePolicy, RoleRights


def test_a_role_outside_the_table_has_no_rights(make_access: Any) -> None:
    policy = RolePolicy(make_access({}))
    for name in ("doctor", "admin", "", "*"):
        assert policy.rights(name) is None


def test_every_right_is_off_unless_given() -> None:
    rights = RoleRights()
    assert not rights.may_subscribe("patient")
    assert not rights.may_publish("patient", "ecg_data")
    assert not rights.wildcard
    assert not rights.all_patients


def test_the_settings_of_a_role_become_its_rights(make_access: Any, make_role: Any) -> None:
    role = make_role(("ecg",), True, True, ("patient",), ("note",))
    rights = RolePolicy(make_access({"nurse": role})).rights("nurse")
    everything = frozenset({"ecg"}), True, True, frozenset({"patient"}), frozenset({"note"})
    assert rights == RoleRights(*everything)


def test_a_star_in_a_list_is_everything_and_a_name_only_itself() -> None:
    assert RoleRights(subscribe=frozenset("*")).may_subscribe("anything")
    named = RoleRights(subscribe=frozenset({"ecg"}))
    assert named.may_subscribe("ecg")
    assert not named.may_subscribe("*")
    assert not named.may_subscribe("ecg2")


@pytest.mark.parametrize(
    ("publish", "types", "target_type", "message_type", "allowed"),
    [
        ({"patient"}, {"note"}, "patient", "note", True),
        ({"patient"}, {"note"}, "patient", "ecg_data", False),
        ({"patient"}, {"note"}, "all", "note", False),
        ({"patient"}, {"note"}, "patient", None, False),
        ({"patient"}, {"*"}, "patient", None, True),
        ({"*"}, {"note"}, "all", "note", True),
        ({"*"}, set(), "all", "note", False),
        (set(), {"*"}, "patient", "note", False),
    ],
)
def test_publishing_needs_the_target_and_the_type(
    publish: set[str], types: set[str], target_type: str, message_type: str | None, allowed: bool
) -> None:
    rights = RoleRights(publish=frozenset(publish), publish_types=frozenset(types))
    assert rights.may_publish(target_type, message_type) is allowed


def test_a_reload_replaces_the_whole_table(make_access: Any, make_role: Any) -> None:
    policy = RolePolicy(make_access({"nurse": make_role()}))
    policy.reload(make_access({"porter": make_role()}))
    assert policy.rights("nurse") is None
    assert policy.rights("porter") is not None
