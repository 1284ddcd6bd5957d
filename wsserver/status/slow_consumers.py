"""Who does not keep up with what is sent to them."""

from itertools import islice

from wsserver.clock import utc_text
from wsserver.service import Service
from wsserver.status.panels import MAX_ENTRIES, Slow, SlowConsumer
from wsserver_core.outgoing import DATA


def slow_panel(service: Service) -> Slow:
    """The slow connections of a service, those slow for longest first, and what waits altogether."""
    manager, hub = service.manager, service.manager.hub
    backpressure = manager.backpressure
    handles = hub.slow_handles()
    consumers = [
        consumer
        for handle in islice(handles, MAX_ENTRIES)
        if (consumer := _consumer(service, handle)) is not None
    ]
    return Slow(
        at=utc_text(service.clock.time()),
        consumers=consumers,
        left_out=max(0, len(handles) - MAX_ENTRIES),
        slow_connections=hub.slow_count,
        stalled_connections=hub.stalled_connections,
        queued_messages=hub.frames_queued,
        queued_bytes=hub.pinned_bytes,
        queue_limit_bytes=backpressure.max_total_bytes,
        slow_after_s=backpressure.slow_after,
        closed_after_s=backpressure.slow_timeout,
        closed=backpressure.closed,
        publishers_wait=backpressure.must_wait(DATA),
    )


def _consumer(service: Service, handle: int) -> SlowConsumer | None:
    manager, hub = service.manager, service.manager.hub
    owner = manager.index.owner(handle)
    queue, slow = hub.connection_figures(handle), hub.slow_figures(handle)
    if owner is None or queue is None or slow is None:
        return None
    since, oldest, lost, ends = slow
    return SlowConsumer(
        connection_id=owner.connection_id,
        user_id=owner.user_id,
        role=owner.role,
        protocol=owner.protocol,
        slow_for_s=round(hub.now - since, 1),
        oldest_age_s=round(hub.now - oldest, 1),
        pending_messages=queue[2],
        pending_bytes=queue[3],
        dropped=lost,
        policy="closing" if ends else "thinning",
    )
