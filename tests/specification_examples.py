"""The backend examples of the specification, as it writes them.

The tests put the instances that the examples import in here.
"""

# The text is the specification's: it is neither formatted nor improved.
# fmt: off
# ruff: noqa: B007, PERF102, UP006, UP035

import cProfile
import json
import logging
import pstats
from datetime import datetime
from typing import Any, List
from unittest.mock import MagicMock

import psutil

from wsserver.overload import send_alert, trigger_emergency_cleanup

connection_manager: Any = None
subscription_manager: Any = None
health_monitor: Any = None
mock_websocket = MagicMock()
logger = logging.getLogger("wsserver.examples")


async def broadcast_ecg_data(patient_id: int, ecg_data: List[float]):
    """Broadcast ECG data to all subscribers of a patient."""
    message = {
        "type": "ecg_data",
        "patient_id": patient_id,
        "data": ecg_data,
        "timestamp": datetime.utcnow().isoformat(),
        "sampling_rate": 250  # Hz
    }

    # Broadcast to all patient subscribers
    delivered = await connection_manager.broadcast_to_patient(
        patient_id, message
    )

    logger.info(f"ECG data broadcast to {delivered} subscribers")


async def broadcast_system_alert(message: str, severity: str = "info"):
    """Broadcast system alert to all connections."""
    alert_message = {
        "type": "system_alert",
        "message": message,
        "severity": severity,
        "timestamp": datetime.utcnow().isoformat()
    }

    # Broadcast to all connections
    delivered = await connection_manager.broadcast_to_all(alert_message)

    logger.info(f"System alert broadcast to {delivered} connections")


# Debug subscription matching
def debug_subscription_matching(connection_id, message_type, target_id, message_data):
    subscriptions = subscription_manager.get_connection_subscriptions(connection_id)
    for sub in subscriptions:
        if subscription_manager.matches_filter(message_data, sub.filters):
            logger.info(f"Message matches subscription {sub.subscription_id}")
        else:
            logger.warning(f"Message does not match subscription {sub.subscription_id}")


# Check subscription registration
def check_subscription_health():
    all_subscriptions = subscription_manager.get_all_subscriptions()
    active_connections = len(connection_manager.connections)

    logger.info(f"Total subscriptions: {len(all_subscriptions)}")
    logger.info(f"Active connections: {active_connections}")

    # Check for orphaned subscriptions
    orphaned = 0
    for sub in all_subscriptions:
        if sub.connection_id not in connection_manager.connections:
            orphaned += 1

    if orphaned > 0:
        logger.warning(f"Found {orphaned} orphaned subscriptions")
        subscription_manager.cleanup_orphaned_subscriptions()


def inspect_connection_state():
    """Comprehensive connection state inspection."""

    print("=== Connection State Inspection ===")
    print(f"Total connections: {len(connection_manager.connections)}")
    print(f"Total subscriptions: {len(subscription_manager.get_all_subscriptions())}")

    # Connection by role
    role_counts = {}
    for conn_id, metadata in connection_manager.connections.items():
        role = metadata.role
        role_counts[role] = role_counts.get(role, 0) + 1

    print("Connections by role:")
    for role, count in role_counts.items():
        print(f"  {role}: {count}")

    # Subscription statistics
    sub_stats = subscription_manager.get_metrics()
    print(f"Subscription metrics: {sub_stats}")

    # Health monitor status
    health_metrics = health_monitor.get_health_metrics()
    print(f"Health metrics: {health_metrics}")


def trace_message_flow(message_id, message_data):
    """Trace message flow through the system."""

    print(f"=== Message Flow Trace [{message_id}] ===")
    print(f"Message type: {message_data.get('type')}")
    print(f"Message size: {len(json.dumps(message_data))} bytes")

    # Find matching subscriptions
    matching_subs = subscription_manager.get_matching_subscriptions(
        message_data.get('type'),
        message_data.get('target_id'),
        message_data
    )

    print(f"Matching subscriptions: {len(matching_subs)}")

    # Check delivery status
    delivered_count = 0
    failed_count = 0

    for sub in matching_subs:
        try:
            # Attempt delivery
            connection_manager.send_message(sub.connection_id, message_data)
            delivered_count += 1
        except Exception as e:
            failed_count += 1
            print(f"Failed to deliver to {sub.connection_id}: {e}")

    print(f"Delivered: {delivered_count}, Failed: {failed_count}")


def profile_websocket_operations():
    """Profile WebSocket operations for performance analysis."""

    profiler = cProfile.Profile()

    # Profile connection operations
    profiler.enable()

    # Simulate typical operations
    for i in range(100):
        # Simulate connection
        connection_manager.connect(mock_websocket, f"user_{i}", "doctor", i)

        # Simulate subscription
        connection_manager.subscribe(f"conn_{i}", "patient", str(i))

        # Simulate broadcast
        connection_manager.broadcast_to_type("patient", {"test": "data"})

    profiler.disable()

    # Generate report
    stats = pstats.Stats(profiler)
    stats.sort_stats('cumulative')

    print("=== WebSocket Performance Profile ===")
    stats.print_stats(10)  # Top 10 functions


def monitor_memory_usage():
    import psutil
    memory_usage = psutil.virtual_memory().percent
    if memory_usage > 80:
        logger.warning(f"High memory usage: {memory_usage}%")
        trigger_emergency_cleanup()


async def handle_system_overload():
    """Emergency response to system overload."""

    logger.critical("System overload detected - initiating emergency procedures")

    # 1. Stop accepting new connections
    connection_manager.set_accept_connections(False)

    # 2. Increase cleanup frequency
    connection_manager.set_cleanup_interval(30)  # 30 seconds

    # 3. Reduce broadcast batch size
    connection_manager.set_broadcast_batch_size(25)

    # 4. Enable aggressive cleanup
    await subscription_manager.aggressive_cleanup()

    # 5. Notify monitoring system
    await send_alert("SYSTEM_OVERLOAD", {
        "connections": len(connection_manager.connections),
        "subscriptions": len(subscription_manager.get_all_subscriptions()),
        "memory_usage": psutil.virtual_memory().percent
    })
