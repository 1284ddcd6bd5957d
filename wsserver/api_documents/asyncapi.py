"""AsyncAPI 3.0 of the WebSocket, written from the types that decode commands and encode answers."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, get_args

from wsserver._version import __version__
from wsserver.api_documents import binary_frame
from wsserver.api_documents.close_codes import MEANINGS, reaction
from wsserver.api_documents.json_schemas import Schema, Schemas
from wsserver.api_documents.message_examples import (
    COMMAND_EXAMPLES,
    CONTROL_EXAMPLES,
    PUBLISHED_EXAMPLE,
    Example,
)
from wsserver.api_documents.panel_examples import PANEL_EXAMPLES
from wsserver.api_documents.spoken import ANSWERS, COMMANDS, CONTROLS, Published
from wsserver.errors import ERRORS
from wsserver.protocol.encoding import BINARY_PROTOCOL, JSON_PROTOCOL
from wsserver.protocol.meta import Meta
from wsserver.status.panels import Panel

ASYNCAPI: Final = "3.0.0"

_CHANNEL: Final = "connect"
_STATUS_CHANNEL: Final = "admin"
_JSON: Final = "application/json"
_BINARY: Final = "application/octet-stream"

_PUBLISHED: Final = "published"
_FRAME: Final = "frame"

_PANELS: Final = {str(panel.__struct_config__.tag): panel for panel in get_args(Panel)}

_ASKED_BY_VIEWERS: Final = (
    "connect",
    "subscribe",
    "unsubscribe",
    "refresh",
    "auth",
    "ping",
    "health_check",
    "disconnect",
)
"""Commands that make sense where nobody publishes and nothing is kept."""

_QUERY: Final = {
    "token": "A token; only with the setting `auth.allow_query_token`.",
    "user_id": "As in `connect`; counts with credentials in the handshake.",
    "role": "As in `connect`; counts with credentials in the handshake.",
    "patient_id": "As in `connect`; counts with credentials in the handshake.",
    "subscriptions": "Topics, with commas between them.",
}

_INFO: Final = (
    "Watching patients over a WebSocket. A connection begins with credentials: in the handshake "
    "(`Authorization: Bearer`, or a subprotocol `wsserver.bearer.TOKEN` beside the one that is spoken), "
    "or in the first message, `connect`. Whatever has `_meta` was published; everything else is the server's "
    "own. New members may be added at any time: ignore what you do not know. What is asked over HTTP stands "
    "in `/ws/openapi.json`."
)


def asyncapi() -> dict[str, Any]:
    """The document, ready for JSON."""
    schemas = Schemas([Meta, Published, *COMMANDS.values(), *CONTROLS.values(), *_PANELS.values()])
    messages, panels = dict(_messages(schemas)), dict(_panels(schemas))
    return {
        "asyncapi": ASYNCAPI,
        "info": {
            "title": "wsserver",
            "version": __version__,
            "description": _INFO,
            "license": {"name": "MIT"},
        },
        "defaultContentType": _JSON,
        "servers": {
            "here": {
                "host": "localhost:8000",
                "protocol": "ws",
                "description": "Wherever this document came from; `wss` behind TLS.",
                "security": [{"$ref": "#/components/securitySchemes/bearer"}],
            }
        },
        "channels": {
            _CHANNEL: _channel(list(messages)),
            _STATUS_CHANNEL: _status_channel([*_ASKED_BY_VIEWERS, *CONTROLS, *panels]),
        },
        "operations": {**dict(_operations()), **dict(_status_operations())},
        "components": {
            "messages": {**messages, **panels},
            "schemas": schemas.components(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "correlationIds": {
                "requestId": {
                    "description": "The answer to a command repeats its `request_id`.",
                    "location": "$message.payload#/request_id",
                }
            },
        },
        "x-close-codes": [
            {"code": int(code), "name": code.name, "description": text, "client": reaction(code)}
            for code, text in MEANINGS.items()
        ],
        "x-errors": [
            {"code": kind.code, "name": kind.name, "description": kind.text} for kind in ERRORS.values()
        ],
    }


def _channel(messages: Sequence[str]) -> dict[str, Any]:
    offer = {
        "type": "string",
        "description": f"`{JSON_PROTOCOL}` (text frames with JSON; assumed when none is offered) or "
        f"`{BINARY_PROTOCOL}` (binary frames), and perhaps `wsserver.bearer.TOKEN`.",
        "examples": [JSON_PROTOCOL, f"{BINARY_PROTOCOL}, wsserver.bearer.TOKEN"],
    }
    return {
        "address": "/ws/connect",
        "title": "The WebSocket",
        "description": "Everything is said here, in both directions.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "query": {
                    "type": "object",
                    "properties": {
                        name: {"type": "string", "description": text} for name, text in _QUERY.items()
                    },
                },
                "headers": {
                    "type": "object",
                    "properties": {
                        "Authorization": {"type": "string", "description": "`Bearer` and a token."},
                        "Sec-WebSocket-Protocol": offer,
                    },
                },
                "bindingVersion": "0.1.0",
            }
        },
    }


def _status_channel(messages: Sequence[str]) -> dict[str, Any]:
    headers = {
        "Authorization": {"type": "string", "description": "`Bearer` and a token with `admin:read`."},
        "Cookie": {
            "type": "string",
            "description": "Of an operator who is signed in; `Origin` must be the server's own then.",
        },
    }
    topics = ", ".join(f"`status:{panel}`" for panel in _PANELS)
    return {
        "address": "/ws/admin",
        "title": "The status page's WebSocket",
        "description": "The same protocol, in JSON, for operators. With a token `connected` comes at once; "
        "with the cookie the first message is `connect`, with the operator's name as `user_id` and the "
        f"`csrf_token` of the sign-in as `token`. Topics are {topics}; nobody publishes.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {
            "ws": {
                "method": "GET",
                "headers": {"type": "object", "properties": headers},
                "bindingVersion": "0.1.0",
            }
        },
    }


def _messages(schemas: Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, form in COMMANDS.items():
        yield name, _message(name, form.__doc__, schemas.of(form), COMMAND_EXAMPLES[name])
    for name, form in CONTROLS.items():
        yield name, _message(name, form.__doc__, schemas.of(form), CONTROL_EXAMPLES[name])
    published = _message(_PUBLISHED, Published.__doc__, schemas.of(Published), (PUBLISHED_EXAMPLE,))
    del published["correlationId"]
    yield _PUBLISHED, published
    yield (
        _FRAME,
        {
            "name": _FRAME,
            "title": _FRAME,
            "summary": f"Any of the others as a binary frame, with the subprotocol {BINARY_PROTOCOL}.",
            "description": binary_frame.TEXT,
            "contentType": _BINARY,
            "payload": {"type": "string", "format": "binary", "minLength": 32},
            "x-header": binary_frame.layout(),
            "x-example-hex": binary_frame.example().hex(),
        },
    )


def _panels(schemas: Schemas) -> Iterator[tuple[str, dict[str, Any]]]:
    meta = {"type": "object", "properties": {"_meta": schemas.of(Meta)}, "required": ["_meta"]}
    for panel, form in _PANELS.items():
        name = _panel_name(panel)
        schema = {"allOf": [meta, schemas.of(form)]}
        message = _message(name, form.__doc__, schema, (PANEL_EXAMPLES[panel],))
        del message["correlationId"]
        yield name, message


def _panel_name(panel: str) -> str:
    return f"panel_{panel}"


def _message(name: str, text: str | None, schema: Schema, examples: Sequence[Example]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": (text or "").partition("\n")[0].replace("``", "`"),
        "contentType": _JSON,
        "correlationId": {"$ref": "#/components/correlationIds/requestId"},
        "payload": schema,
        "examples": [
            {"name": name if not number else f"{name}_{number + 1}", "payload": example}
            for number, example in enumerate(examples)
        ],
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """What the server takes, with its answers, and what it says by itself."""
    for name, answer in ANSWERS.items():
        operation: dict[str, Any] = {**_operation("receive", name), "summary": f"A client sends `{name}`."}
        if answer is not None:
            operation["reply"] = {
                "channel": {"$ref": f"#/channels/{_CHANNEL}"},
                "messages": [_of_channel(answer), _of_channel("error")],
            }
        yield f"receive_{name}", operation
    answers = set(ANSWERS.values())
    for name in (_PUBLISHED, *(name for name in CONTROLS if name not in answers)):
        yield f"send_{name}", {**_operation("send", name), "summary": f"The server sends `{name}` by itself."}
    yield "receive_frame", {**_operation("receive", _FRAME), "summary": "A client speaks in binary."}
    yield "send_frame", {**_operation("send", _FRAME), "summary": "The server speaks in binary."}


def _status_operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in _ASKED_BY_VIEWERS:
        operation = _operation("receive", name, channel=_STATUS_CHANNEL)
        yield f"receive_status_{name}", {**operation, "summary": f"The status page sends `{name}`."}
    for panel in _PANELS:
        operation = _operation("send", _panel_name(panel), channel=_STATUS_CHANNEL)
        yield f"send_status_{panel}", {**operation, "summary": f"The panel `{panel}`, at most once a second."}


def _operation(action: str, message: str, *, channel: str = _CHANNEL) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [_of_channel(message, channel)],
    }


def _of_channel(message: str, channel: str = _CHANNEL) -> dict[str, str]:
    return {"$ref": f"#/channels/{channel}/messages/{message}"}
