import json

import pytest

SECRET = "canary-7f3a-canary-7f3a-canary-7f3a"


def minted(invoke, *arguments: str, **environ: str | None) -> str:
    result = invoke("token", "-q", "--user", "u1", "--role", "nurse", *arguments, **environ)
    assert result.exit_code == 0, result.stderr
    return result.stdout.strip()


def test_a_token_says_what_was_asked_for(invoke) -> None:
    token = minted(
        invoke, "--patient", "1", "--patient", "p-2", "--scope", "metrics:read admin:read", "--ttl", "2m"
    )
    claims = json.loads(invoke("check-token", token).stdout)
    assert (claims["sub"], claims["role"], claims["patients"]) == ("u1", "nurse", ["1", "p-2"])
    assert claims["scope"] == "metrics:read admin:read"
    assert claims["exp"] - claims["iat"] == 120


def test_a_scope_that_this_server_asks_nobody_for_is_told(invoke) -> None:
    scopes = "--scope", "admin:raed billing", "--scope", "admin:read"
    result = invoke("token", "-q", "-u", "u1", "-r", "nurse", *scopes)
    assert result.exit_code == 0
    assert result.stderr.splitlines() == [
        "note: this server asks nobody for the scope admin:raed; did you mean admin:read?",
        "note: this server asks nobody for the scope billing",
    ]
    claims = json.loads(invoke("check-token", result.stdout.strip()).stdout)
    assert claims["scope"] == "admin:raed billing admin:read"


def test_a_star_is_every_patient(invoke) -> None:
    assert json.loads(invoke("check-token", minted(invoke, "--patient", "*")).stdout)["patients"] == "*"


def test_a_token_without_patients_does_not_mention_them(invoke) -> None:
    assert "patients" not in json.loads(invoke("check-token", minted(invoke)).stdout)


def test_quiet_prints_the_token_alone_and_otherwise_its_facts_go_to_standard_error(invoke) -> None:
    quiet = invoke("token", "-q", "-u", "u1", "-r", "nurse")
    assert quiet.stderr == ""
    talking = invoke("token", "-u", "u1", "-r", "nurse")
    assert talking.stderr.startswith("nurse u1, expires ")
    assert talking.stdout.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--role", "nures", "--user", "u"], "is no role of access.roles; did you mean nurse?"),
        (["--role", "nurse", "--user", "u 1"], "user id must be"),
        (["--role", "nurse", "--user", "u", "--ttl", "0"], "must be one second at least"),
        (["--role", "nurse", "--user", "u", "--ttl", "soon"], "must be a duration"),
        (["--role", "nurse", "--user", "u", "--patient", "*", "--patient", "1"], "* is every patient"),
        (["--role", "nurse", "--user", "u", "--patient", ""], "patient id must be"),
        (["--role", "nurse", "--user", "u", "--scope", 'a"b'], "a scope is a word"),
    ],
)
def test_a_token_that_could_not_be_used_is_not_made(invoke, arguments: list[str], text: str) -> None:
    result = invoke("token", *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert text in " ".join(result.stderr.split())


def test_without_hs256_only_the_issuer_makes_tokens(invoke, tmp_path) -> None:
    keys = tmp_path / "jwks.json"
    public = {"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    keys.write_text(json.dumps({"keys": [public]}))
    result = invoke(
        "token", "-u", "u", "-r", "nurse",
        WSSERVER_AUTH__SECRET=None, WSSERVER_AUTH__ALGORITHMS="EdDSA", WSSERVER_AUTH__JWKS_FILE=str(keys),
    )  # fmt: skip
    assert result.exit_code == 1
    assert "only the issuer" in result.stderr


@pytest.mark.parametrize("how", ["argument", "variable", "stdin"])
def test_a_token_to_check_comes_from_argument_variable_or_standard_input(invoke, how: str) -> None:
    token = minted(invoke)
    if how == "argument":
        result = invoke("check-token", token)
    elif how == "variable":
        result = invoke("check-token", WSSERVER_TOKEN=token)
    else:
        result = invoke("check-token", stdin=f"{token}\n")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["sub"] == "u1"


def test_a_refused_token_ends_with_1_and_a_reason_but_is_not_repeated(invoke) -> None:
    token = minted(invoke)
    forged = invoke("check-token", token, WSSERVER_AUTH__SECRET="another-" * 5)
    assert forged.exit_code == 1
    assert forged.output == "Error: the token is refused: signature\n"
    for nonsense in ("", "canary", "a.b.c"):
        result = invoke("check-token", stdin=nonsense)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "canary" not in result.output


def test_a_valid_token_of_a_role_without_rights_is_told(invoke) -> None:
    token = minted(invoke)
    result = invoke("check-token", token, WSSERVER_ACCESS__ROLES='{"porter": {}}')
    assert result.exit_code == 1
    assert "its role nurse is none of access.roles" in result.stderr
