"""Giving memory back never raises and never runs twice at once."""

import threading

from wsserver.observe import heap


def settle() -> None:
    for thread in threading.enumerate():
        if thread.name == "wsserver-heap":
            thread.join(10)


def test_it_runs_on_a_thread_of_its_own(monkeypatch):
    asked, go = [], threading.Event()

    def trim(keep: int) -> int:
        assert go.wait(10)
        asked.append((keep, threading.current_thread().name))
        return 1

    monkeypatch.setattr(heap, "_TRIM", trim)
    assert heap.give_back_free_memory()
    assert not heap.give_back_free_memory(), "one at a time"
    go.set()
    settle()
    assert asked == [(0, "wsserver-heap")]
    assert heap.give_back_free_memory()
    settle()


def test_where_the_library_has_no_such_call_nothing_happens(monkeypatch):
    monkeypatch.setattr(heap, "_TRIM", None)
    assert not heap.give_back_free_memory()


def test_without_a_thread_nothing_is_lost(monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(heap, "_TRIM", lambda keep: 1)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        assert not heap.give_back_free_memory()
    assert heap.give_back_free_memory()
    settle()
