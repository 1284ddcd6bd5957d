"""Faults of ours: found again by a number, told without anybody's data."""

import logging
import secrets
import sys
import traceback

from wsserver.errors import INTERNAL_ERROR, ServerError

logger = logging.getLogger("wsserver.incidents")


def report_incident(doing: str) -> str:
    """Log the exception being handled and return the number it is logged under.

    Its class and where it happened are logged, not its text: that may hold a patient's data.
    """
    incident = secrets.token_hex(6)
    fault = sys.exc_info()[1]
    where = "".join(traceback.format_tb(fault.__traceback__)) if fault is not None else ""
    logger.error("incident %s while %s: %s\n%s", incident, doing, type(fault).__name__, where)
    return incident


def internal_error(doing: str) -> ServerError:
    """Report the exception being handled; the error (1015) tells the client its number and nothing else."""
    return ServerError(INTERNAL_ERROR, details={"incident": report_incident(doing)})
