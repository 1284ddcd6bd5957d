"""Publishing from scripts, Flask, Django: synchronous, over REST, once whatever the network does."""

import json
import random as random_module
import re
import ssl as ssl_module
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, Final, Self
from urllib.parse import quote

from wsserver.client.credentials import TokenReason
from wsserver.client.errors import ClientError, ConnectionLost, InvalidOption, NoAnswer, RequestRefused
from wsserver.client.json_text import encode_json
from wsserver.client.report import BroadcastReport
from wsserver.client.rest_connections import Answer, RestConnections, Unanswered
from wsserver.client.retry_plan import RetryPlan

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_AGAIN: Final = frozenset({429, 502, 503, 504})
"""Answers after which the same request may get a better one; 502 and 504 are a proxy's."""


class Publisher:
    """Publishes messages over REST. One for a process, for any number of threads.

    ::

        with Publisher("https://host", token=token) as publisher:
            report = publisher.broadcast_to_patient("123", {"type": "vitals", "heart_rate": 61})
            print(report.delivered, "of", report.matched)

    Each call has an ``Idempotency-Key``, and is repeated with it while there is no answer, or one that
    asks for patience (503, 429): the message is published once. The methods are named as those of the
    server's ``connection_manager``, and give the same report.

    They raise RequestRefused when the server says no: nothing was published. ConnectionLost: nothing
    could be sent. NoAnswer: it may have been published or not; the same call with its ``key`` tells.
    InvalidOption: the message or an argument cannot be sent.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        get_token: Callable[[TokenReason], str] | None = None,
        timeout: float = 10.0,
        patience: float = 30.0,
        ssl: ssl_module.SSLContext | None = None,
        sleep: Callable[[float], object] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        """``timeout`` is for each attempt, ``patience`` for all of one call together; 0 is one attempt.

        ``get_token`` is asked at first and when a token was refused, each time once. The last three are
        for tests. Raises InvalidOption.
        """
        if token is None and get_token is None:
            raise InvalidOption("token", "or get_token must be given")
        for name, value in (("timeout", timeout), ("patience", patience)):
            if not isinstance(value, int | float) or not 0 <= value <= 3600:
                raise InvalidOption(name, "must be a number from 0 to 3600 seconds")
        self._connections = RestConnections(url, ssl)
        self._token = None if token is None else _checked_token(token)
        self._get_token = get_token
        self._timeout = timeout
        self._patience = patience
        self._sleep = sleep
        self._monotonic = monotonic
        self._random = random

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *fault: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; calls under way end as they would."""
        self._connections.close()

    def broadcast_to_patient(
        self, patient_id: str | int, message: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> BroadcastReport:
        """Publish to those who watch a patient."""
        return self._publish(f"patient/{_segment('patient_id', patient_id)}", message, idempotency_key)

    def broadcast_to_type(
        self, subscription_type: str, message: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> BroadcastReport:
        """Publish to the subscribers of a type."""
        return self._publish(
            f"type/{_segment('subscription_type', subscription_type)}", message, idempotency_key
        )

    def broadcast_to_all(
        self, message: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> BroadcastReport:
        """Publish to every connection."""
        return self._publish("all", message, idempotency_key)

    # -- one call

    def _publish(self, target: str, message: Mapping[str, Any], key: str | None) -> BroadcastReport:
        if not isinstance(message, Mapping):
            raise InvalidOption("message", "must be an object")
        # Once, for all attempts: under one key the server compares byte by byte.
        body = encode_json(dict(message)).encode()
        if key is None:
            key = uuid.uuid4().hex
        elif _KEY.fullmatch(key) is None:
            raise InvalidOption("idempotency_key", "must be 1 to 255 visible ASCII characters")
        answer = self._until_answered(f"/ws/broadcast/{target}", body, key)
        try:
            return BroadcastReport.of(_document(answer)["data"])
        except (KeyError, TypeError):
            raise NoAnswer("the answer is no report: is this a wsserver?", key) from None

    def _until_answered(self, path: str, body: bytes, key: str) -> Answer:
        plan = RetryPlan(self._patience, self._monotonic, self._random)
        may_be_done, asked_again = False, False
        while True:
            token = self._current_token()
            failure: ClientError
            retry_after: float | None = None
            try:
                answer = self._connections.post(path, _headers(token, key), body, self._timeout)
            except ConnectionLost as fault:
                failure = fault
            except Unanswered as fault:
                failure = fault
                may_be_done = True
            else:
                if answer.status == 200:
                    return answer
                if answer.status == 401 and self._get_token is not None and not asked_again:
                    asked_again = True
                    self._renew_token("refused", token)
                    continue
                failure, retry_after = _refusal(answer), answer.retry_after
                if answer.status not in _AGAIN:
                    if may_be_done:
                        raise NoAnswer(f"an attempt had no answer; then {failure}", key) from failure
                    raise failure
                may_be_done = may_be_done or answer.status in (502, 504)
            wait = plan.wait(retry_after)
            if wait is None:
                if may_be_done:
                    raise NoAnswer(f"it may have been published: {failure}", key) from failure
                raise failure
            self._sleep(wait)

    def _current_token(self) -> str:
        token = self._token
        return token if token is not None else self._renew_token("first", None)

    def _renew_token(self, reason: TokenReason, refused: str | None) -> str:
        if self._token is not None and self._token != refused:
            # Another thread was faster.
            return self._token
        if self._get_token is None:
            raise InvalidOption("token", "or get_token must be given")
        self._token = token = _checked_token(self._get_token(reason))
        return token


def _headers(token: str, key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": key,
        "Accept": "application/json",
    }


def _document(answer: Answer) -> dict[str, Any]:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {}


def _refusal(answer: Answer) -> RequestRefused:
    error = _document(answer).get("error")
    if not isinstance(error, dict):
        text = "the answer is none of a wsserver's"
        return RequestRefused(0, "", text, retry_after=answer.retry_after, status=answer.status)
    return RequestRefused.of(error, answer.status)


def _checked_token(token: object) -> str:
    if not isinstance(token, str) or _VISIBLE.fullmatch(token) is None:
        # Without the token: http.client's own text would quote it.
        raise InvalidOption("token", "must be a text that can stand in a header")
    return token


def _segment(name: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise InvalidOption(name, "must be a text or a whole number")
    return quote(str(value), safe="")
