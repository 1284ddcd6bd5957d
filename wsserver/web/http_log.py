"""What aiohttp may log about requests that it cannot parse."""

import logging

from aiohttp.http_exceptions import HttpProcessingError


class UnparsableRequests(logging.Filter):
    """Strips what the client sent from aiohttp's complaint about it.

    For a header it refuses, aiohttp logs the whole line with the traceback, and that line
    may be ``Authorization``. What is left is that there was such a request.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, without the exception that quotes the request."""
        fault = record.exc_info[1] if record.exc_info else None
        if isinstance(fault, HttpProcessingError):
            record.exc_info = None
            record.exc_text = None
            record.msg = "a request could not be parsed (%s)"
            record.args = (type(fault).__name__,)
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


_FILTER = UnparsableRequests()


def protect_http_log() -> None:
    """Put the filter before aiohttp's server log; again changes nothing."""
    logging.getLogger("aiohttp.server").addFilter(_FILTER)
