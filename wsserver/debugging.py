"""The specification's debugging functions, for the server of this process."""

import logging
from collections.abc import Mapping
from typing import Any, TextIO

import msgspec

from wsserver.connection_manager import connection_manager
from wsserver.connections.connection_state import ConnectionState, connection_state
from wsserver.log import escape_controls
from wsserver.profiling.rehearsal import OperationsProfile, rehearse
from wsserver.publishing.message_flow import MessageFlow, message_flow
from wsserver.subscriptions.match_explainer import MatchExplainer, MatchVerdict
from wsserver.subscriptions.subscription_health import subscription_health

logger = logging.getLogger("wsserver.debugging")


def debug_subscription_matching(
    connection_id: str,
    message_type: str | None,
    target_id: str | int | None,
    message_data: Mapping[str, Any],
) -> list[MatchVerdict]:
    """Why this message would reach each subscription of a connection, or would not; logged at DEBUG.

    Nothing is sent. Raises ConnectionNotFound, and ServerError 1003 as sending would.
    """
    verdicts = MatchExplainer(connection_manager).explain_match(
        connection_id, message_data, type_name=message_type, target_id=target_id
    )
    for verdict in verdicts:
        # Ids only: what a clause wanted and what a message held is for the caller.
        logger.debug("subscription %s: %s", verdict.subscription.subscription_id, verdict.outcome)
    return verdicts


def check_subscription_health() -> dict[str, int]:
    """Counts, and the self-test that no subscription has outlived its connection.

    ``orphaned`` is 0 unless something is wrong; orphans are removed.
    """
    health: dict[str, int] = msgspec.structs.asdict(subscription_health(connection_manager, remove=True))
    return health


def inspect_connection_state() -> ConnectionState:
    """Print who is connected, by role, with the figures of subscriptions and heartbeats; and return it."""
    state = connection_state(connection_manager)
    print("\n".join(state.lines()))
    return state


def profile_websocket_operations(iterations: int = 100) -> OperationsProfile:
    """Time and profile connecting, subscribing and broadcasting; print it and return it.

    It works on a manager of its own with stand-ins for sockets: the server of this process is not
    touched, but its loop is held meanwhile, for about 0.2 s with 100 iterations and up to some 7 s with
    1,000. Raises ValueError for iterations beyond 1 to 1,000, RuntimeError while this thread is profiled.
    """
    profile = rehearse(iterations)
    print("\n".join(["=== WebSocket Performance Profile ===", *profile.lines()]))
    return profile


def trace_message_flow(
    message_id: str, message_data: Mapping[str, Any], *, deliver: bool = False, file: TextIO | None = None
) -> MessageFlow:
    """Say who would get a message and why not the others; print it (to ``file``) and return it.

    Nothing is sent unless ``deliver`` is given: then the message is broadcast to its patient, or to its
    type, and the stages of its way and what became of it at each connection are told, too.
    ``message_id`` names it in the report; a message that is sent has an id of the server's. Raises what
    broadcasting raises.
    """
    flow = message_flow(connection_manager, message_id, message_data, deliver=deliver)
    # What is in a message must not move the cursor of whoever reads this.
    print("\n".join(map(escape_controls, flow.lines())), file=file)
    return flow
