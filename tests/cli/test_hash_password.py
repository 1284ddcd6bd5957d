import pytest
from operator_accounts import OPERATOR_PASSWORD

from wsserver.operators.password_hash import PasswordHash


@pytest.mark.parametrize("end", ["\n", "\r\n", "", "\nanother line\n"])
def test_the_first_line_of_standard_input_is_hashed(invoke, end: str) -> None:
    result = invoke("hash-password", stdin=OPERATOR_PASSWORD + end)
    assert (result.exit_code, result.stderr) == (0, "")
    assert PasswordHash.parse(result.stdout.strip()).fits(OPERATOR_PASSWORD)


@pytest.mark.parametrize("password", ["", "\n", "short", "x" * 1025, "x" * 100_000])
def test_what_is_too_short_or_too_long_is_refused_without_being_quoted(invoke, password: str) -> None:
    result = invoke("hash-password", stdin=password)
    assert result.exit_code == 2
    assert "a password has 12 to 1024 characters" in result.stderr
    assert "xxx" not in result.output
    assert result.stdout == ""


def test_a_password_is_no_argument(invoke) -> None:
    result = invoke("hash-password", OPERATOR_PASSWORD)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_at_a_terminal_it_is_asked_for_twice_and_not_shown(invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **how: object) -> str:
        asked.append(how)
        return OPERATOR_PASSWORD

    monkeypatch.setattr("wsserver.cli.hash_password._is_terminal", lambda: True)
    monkeypatch.setattr("click.prompt", prompt)
    result = invoke("hash-password")
    assert PasswordHash.parse(result.stdout.strip()).fits(OPERATOR_PASSWORD)
    assert asked == [{"hide_input": True, "confirmation_prompt": True, "err": True}]
