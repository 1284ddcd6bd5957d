"""The table of errors and the close codes."""

import pytest

from wsserver import errors
from wsserver.errors import ERRORS, CloseCode, ConnectionNotFound, ServerError
from wsserver_core.frames import encode_close


def test_the_numbers_names_and_statuses_are_those_of_the_protocol() -> None:
    table = {
        1001: ("authentication_failed", 401),
        1002: ("connection_limit_exceeded", 503),
        1003: ("invalid_subscription", 400),
        1004: ("message_too_large", 413),
        1005: ("backpressure_active", 503),
        1006: ("health_check_failed", 500),
        1007: ("subscription_timeout", 410),
        1008: ("filter_parsing_error", 400),
        1009: ("binary_protocol_error", 400),
        1010: ("rate_limit_exceeded", 429),
        1011: ("permission_denied", 403),
        1012: ("subscription_limit_exceeded", 429),
        1013: ("server_shutting_down", 503),
        1014: ("not_found", 404),
        1015: ("internal_error", 500),
    }
    assert {code: (kind.name, kind.http_status) for code, kind in ERRORS.items()} == table
    assert all(kind.code == code and kind.text for code, kind in ERRORS.items())


@pytest.mark.parametrize("code", list(CloseCode))
def test_every_close_code_may_be_sent_and_lies_in_a_band(code: CloseCode) -> None:
    assert encode_close(code, "why")
    assert code in (1000, 1001, 1002, 1007, 1009, 1011) or 4000 <= code < 4200 or 4500 <= code < 5000


@pytest.mark.parametrize(("code", "name"), [(1001, "twice"), (9999, "not_found")])
def test_a_number_or_a_name_stands_in_the_table_once(code: int, name: str) -> None:
    with pytest.raises(AssertionError, match="stands twice"):
        errors._kind(code, name, 400, "text")
    assert 9999 not in ERRORS


def test_an_error_says_what_it_was_given_and_nothing_else() -> None:
    plain = ServerError(errors.NOT_FOUND)
    assert plain.as_dict() == {"code": 1014, "name": "not_found", "message": "Not found."}
    full = ServerError(errors.RATE_LIMIT, "Slow down.", details={"a": 1}, retry_after_ms=0, http_status=418)
    assert full.as_dict("r1") == {
        "code": 1010,
        "name": "rate_limit_exceeded",
        "message": "Slow down.",
        "request_id": "r1",
        "retry_after_ms": 0,
        "details": {"a": 1},
    }
    assert (full.http_status, plain.http_status) == (418, 404)
    assert str(full) == "1010 rate_limit_exceeded: Slow down."


def test_an_unknown_connection_is_an_invalid_message_and_404() -> None:
    error = ConnectionNotFound()
    assert (error.kind.code, error.http_status) == (1003, 404)
