"""No token reaches a log through aiohttp's own complaints."""

import logging

from aiohttp.http_exceptions import InvalidHeader

from wsserver.web.http_log import UnparsableRequests, protect_http_log


def record_of(fault):
    exc_info = (type(fault), fault, None)
    return logging.LogRecord("aiohttp.server", logging.ERROR, "", 0, "Error handling request", (), exc_info)


def test_a_refused_header_is_not_quoted():
    record = record_of(InvalidHeader(b"Authorization: Bearer canary"))
    assert UnparsableRequests().filter(record)
    assert "canary" not in logging.Formatter("%(message)s").format(record)
    assert record.getMessage() == "a request could not be parsed (InvalidHeader)"
    assert record.levelno == logging.INFO


def test_faults_of_ours_keep_their_traceback():
    record = record_of(KeyError("a bug"))
    assert UnparsableRequests().filter(record)
    assert record.exc_info is not None
    assert record.levelno == logging.ERROR


def test_protecting_twice_adds_one_filter():
    logger = logging.getLogger("aiohttp.server")
    protect_http_log()
    before = len(logger.filters)
    protect_http_log()
    assert len(logger.filters) == before
