"""The shapes of what the status page is sent."""

import msgspec

from wsserver.status.panels import PANELS, Panel, Slow


def test_every_panel_is_told_by_its_name():
    tags = [struct.__struct_config__.tag for struct in Panel.__args__]
    assert tuple(tags) == PANELS
    assert {struct.__struct_config__.tag_field for struct in Panel.__args__} == {"panel"}


def test_a_panel_becomes_a_message_with_the_type_status():
    slow = Slow(
        at="2026-01-01T00:00:00.000Z",
        consumers=[],
        left_out=0,
        slow_connections=0,
        stalled_connections=0,
        queued_messages=0,
        queued_bytes=0,
        queue_limit_bytes=1,
        slow_after_s=1.0,
        closed_after_s=30.0,
        closed=0,
        publishers_wait=False,
    )
    body = msgspec.to_builtins(slow)
    assert (body["panel"], body["type"]) == ("slow", "status")
    assert msgspec.convert(body, Panel) == slow
