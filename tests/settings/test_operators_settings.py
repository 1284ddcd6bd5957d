"""The section ``operators``: accounts in every spelling, their faults, and that no hash is shown."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from operator_accounts import ACCOUNTS, HASHES

from wsserver.settings import (
    OperatorsSettings,
    SettingsError,
    describe,
    describe_as_environment,
    describe_as_toml,
    load_settings,
)

KEYED = {"WSSERVER_AUTH__SECRET": "canary-7f3a-canary-7f3a-canary-7f3a"}
VARIABLE = "WSSERVER_OPERATORS__ACCOUNTS"
GOOD = {
    "olga": {"role": "operator", "password_hash": HASHES["olga"]},
    "vera": {"password_hash": HASHES["vera"]},
}


def faults(accounts: Any, **more: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, KEYED, {"operators.accounts": accounts, **more})
    return caught.value.faults


def test_accounts_may_stand_in_a_file_and_in_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "wsserver.toml"
    file.write_text(
        f'[operators.accounts.olga]\nrole = "operator"\npassword_hash = "{HASHES["olga"]}"\n'
        f'[operators.accounts.vera]\npassword_hash = "{HASHES["vera"]}"\n'
    )
    for loaded in (
        load_settings(file, KEYED),
        load_settings(None, KEYED | {VARIABLE: json.dumps(GOOD)}),
    ):
        assert loaded.settings.operators.accounts == ACCOUNTS


def test_every_fault_of_every_account_is_told_and_no_hash_is() -> None:
    told = faults(
        {
            "olga": {"role": "admin", "password_hash": HASHES["olga"]},
            "vera": {"password": "nightshift-looks-on"},
            "otto": {"password_hash": 5},
            "anna": HASHES["olga"],
        }
    )
    text = "\n".join(told)
    for part in (
        "olga.role: must be one of viewer, operator",
        "vera.password: is not a member; did you mean password_hash?",
        "vera.password_hash: is needed",
        "otto.password_hash: must be text, not a whole number",
        "anna: must be a table of members",
    ):
        assert part in text, told
    assert "scrypt" not in text
    assert "nightshift" not in text


@pytest.mark.parametrize("name", ["", "a b", "o:lga", "x" * 65, "ölga"])
def test_a_name_is_an_id(name: str) -> None:
    (fault,) = faults({name: {"password_hash": HASHES["olga"]}})
    assert "an account's name must be" in fault


def test_a_password_is_no_hash() -> None:
    (fault,) = faults({"olga": {"password_hash": "ward-round-at-seven"}})
    assert fault == "operators.accounts: olga: password_hash must be what `wsserver hash-password` prints"


def test_a_sign_in_cannot_be_idle_for_longer_than_it_lasts() -> None:
    (fault,) = faults({}, **{"operators.idle_timeout": "13h"})
    assert fault == "operators.idle_timeout: 13h is over operators.session_timeout (12h)"


def test_no_description_shows_a_hash_and_what_is_described_still_loads(tmp_path: Path) -> None:
    loaded = load_settings(None, KEYED | {VARIABLE: json.dumps(GOOD)})
    rows = {row.key: row.value for row in describe(loaded)}
    assert rows["operators.accounts.olga"] == '{ role = "operator", password_hash = "********" }'
    toml, environment = describe_as_toml(loaded), describe_as_environment(loaded)
    for text in (str(describe(loaded)), toml, environment, repr(loaded.settings), repr(ACCOUNTS)):
        assert "scrypt" not in text
    assert tomllib.loads(toml)["operators"]["accounts"] == {"olga": {"role": "operator"}, "vera": {}}
    assert f"# {VARIABLE}=" in environment


def test_a_file_with_hashes_that_everybody_can_read_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "wsserver.toml"
    file.write_text(f'[operators.accounts.vera]\npassword_hash = "{HASHES["vera"]}"\n')
    file.chmod(0o644)
    warning = "wsserver.toml holds operators.accounts and every user of this machine can read it."
    assert warning in load_settings(file, KEYED).warnings
    file.chmod(0o640)
    assert warning not in load_settings(file, KEYED).warnings


def test_the_defaults_are_no_accounts_half_an_hour_and_twelve_hours() -> None:
    settings = OperatorsSettings()
    assert (settings.accounts, settings.idle_timeout, settings.session_timeout) == ({}, 1800, 43_200)
