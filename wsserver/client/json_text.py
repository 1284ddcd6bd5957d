"""JSON as the server takes it."""

import json
from collections.abc import Mapping
from typing import Any

from wsserver.client.errors import InvalidOption


def encode_json(document: Mapping[str, Any]) -> str:
    """JSON as the server takes it. Raises InvalidOption for what it would refuse or silently change."""
    try:
        text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        text.encode()
    except (TypeError, ValueError, RecursionError):
        # The fault's own text may quote the value.
        raise InvalidOption("message", "must be JSON: finite numbers, text without half surrogates") from None
    return text
