"""Requests and their failures."""

from wsserver.observe.operations import Operations


def test_answers_from_400_on_are_failures():
    operations = Operations()
    for status in (200, 101, 304, 400, 503):
        operations.note(status)
    assert (operations.requests, operations.failures) == (5, 2)
