import pytest
from workbench import Workbench

from wsserver.operators.operator import SCOPES_BY_ROLE, Operator, role_of


def test_a_viewer_changes_nothing_and_nobody_publishes() -> None:
    assert {
        "viewer": {"admin:read", "metrics:read"},
        "operator": {"admin:read", "metrics:read", "admin:write", "audit:read"},
    } == SCOPES_BY_ROLE


@pytest.mark.parametrize(
    ("scope", "role"), [("metrics:read", "viewer"), ("admin:read", "viewer"), ("admin:write", "operator")]
)
def test_the_role_of_a_token_is_told_from_its_scopes(scope: str, role: str) -> None:
    assert role_of(frozenset({scope, "audit:read"})) == role


async def test_a_bearer_may_what_the_token_may() -> None:
    bench = await Workbench().start()
    token = bench.token("ops", "admin", patients=["1"], scopes=["metrics:read"])
    operator = Operator.of_token(await bench.service.authenticator.authenticate(token))
    assert (operator.name, operator.by, operator.scopes) == ("ops", "token", {"metrics:read"})
    assert not operator.is_signed_in
    assert (operator.role, operator.acting_as) == ("viewer", "admin")
    assert operator.may_see("1")
    assert not operator.may_see("2")


def test_without_a_token_no_patients_values_are_shown() -> None:
    operator = Operator("olga", "operator", SCOPES_BY_ROLE["operator"], "password", b"digest")
    assert operator.is_signed_in
    assert operator.acting_as == "operator"
    assert not operator.may_see("1")
