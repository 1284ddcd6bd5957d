import json

from wsserver.errors import CONNECTION_LIMIT, INVALID_MESSAGE, RATE_LIMIT
from wsserver.web.refusal import HandshakeRefused


def test_the_answer_is_the_error_envelope_and_ends_the_connection():
    answer = HandshakeRefused(
        INVALID_MESSAGE, "Wrong.", http_status=426, headers={"Sec-WebSocket-Version": "13"}, details={"a": 1}
    ).response()
    assert answer.status == 426
    assert answer.headers["Sec-WebSocket-Version"] == "13"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.keep_alive is False
    assert json.loads(answer.body) == {
        "status": "error",
        "error": {"code": 1003, "name": "invalid_subscription", "message": "Wrong.", "details": {"a": 1}},
    }


def test_status_and_text_are_those_of_the_table_unless_given():
    error = HandshakeRefused(CONNECTION_LIMIT)
    assert (error.http_status, error.message) == (503, CONNECTION_LIMIT.text)


def test_the_time_to_wait_is_told_in_header_and_body_and_never_rounded_down():
    error = HandshakeRefused(RATE_LIMIT, retry_after=1.0004)
    assert error.headers["Retry-After"] == "2"
    assert error.retry_after_ms == 1001
    assert HandshakeRefused(RATE_LIMIT, retry_after=0.01).headers["Retry-After"] == "1"
