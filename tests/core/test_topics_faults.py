"""The topic index when memory runs out, when code of a message runs inside it, and when a finaliser does.

A fault in the core would end the process, so each case runs in a child.
"""

import gc
import os
import select
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from ward import ANYTHING, EVERYONE, HIGH, Ward, address, filter_of, handle, seeing

from wsserver_core.recipients import Recipients
from wsserver_core.scopes import Scope
from wsserver_core.topics import Selection

pytestmark = pytest.mark.core

TOPICS = ["patient:7", "patient", "ecg:x", "*"]


PATIENCE = 60.0
TRIES = 3


def in_a_child(act: Callable[[], object]) -> None:
    """Do it in a copy of this process: whatever becomes of that, this one goes on.

    Where another thread, such as that of the test's time limit, held a lock of the sanitizer's allocator
    at the moment of the copy, the copy waits for it for ever. So one that stands still is tried again.
    """
    for _ in range(TRIES):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                act()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        child = os.pidfd_open(pid)
        try:
            ended, _, _ = select.select([child], [], [], PATIENCE)
        finally:
            os.close(child)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if ended:
            assert os.waitstatus_to_exitcode(status) == 0
            return
    pytest.fail(f"{TRIES} copies of this process stood still")


# -- code of a message


class Spy(str):
    """A key that acts when it is looked at."""

    on_look: Callable[[], object]
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        self.on_look()
        return str.__eq__(self, other)


def test_a_field_is_read_once_however_many_shelves_and_filters_ask_for_it() -> None:
    ward = Ward()
    for slot in range(30):
        ward.add(slot, "patient:1" if slot % 2 else "patient:*", seeing("1", str(slot + 100)), HIGH)
    looks: list[None] = []
    key = Spy("severity")
    key.on_look = lambda: looks.append(None)
    counts = ward.index.select("patient", "1", "1", {key: "low"}, {}, ward.out)
    assert counts == Selection(30, 0, 30, 0)
    assert len(looks) == 1


@pytest.mark.parametrize("filters", [1, 30])
def test_a_field_that_only_forbidden_filters_ask_for_is_not_read_and_not_searched(filters: int) -> None:
    """How long a search takes tells about the text."""
    ward = Ward()
    for slot in range(filters):
        ward.add(slot, "ecg", seeing("9"), filter_of({"secret": {"$regex": f"HIV {slot}"}}))
    ward.add(100, "ecg", seeing("7"), HIGH)
    looks: list[None] = []
    key = Spy("secret")
    key.on_look = lambda: looks.append(None)
    message = {"severity": "high", key: "HIV 3"}
    assert ward.index.select("ecg", None, "7", message, {}, ward.out) == Selection(filters + 1, 1, 0, filters)
    assert looks == []
    ward.index.select("ecg", None, "9", message, {}, ward.out)
    assert looks


ACTS: dict[str, Callable[[Ward, int], object]] = {
    "admit": lambda ward, number: ward.admit(8),
    "dismiss": lambda ward, number: ward.index.dismiss(handle(3)),
    "rescope": lambda ward, number: ward.index.rescope(handle(1), seeing("7")),
    "add": lambda ward, number: ward.subscribe(3, "vitals"),
    "replace": lambda ward, number: ward.index.replace(number, ANYTHING, 1.0),
    "remove": lambda ward, number: ward.index.remove(number),
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("filters", [1, 30])
def test_the_index_refuses_changes_while_a_message_passes(topic: str, act: str, filters: int) -> None:
    ward = Ward()
    kind, target = ("patient", "7") if topic.startswith("patient") else ("ecg", "x")
    number = ward.add(1, topic, program=HIGH)
    ward.add(2, topic)
    ward.admit(3)
    for slot in range(10, 10 + filters):
        ward.add(slot, topic, program=filter_of({"severity": f"s{slot}"}))
    before = ward.index.sizes(), ward.index.figures(number)
    key = Spy("severity")
    key.on_look = lambda: ACTS[act](ward, number)
    with pytest.raises(RuntimeError):
        ward.index.preview(kind, target, None, {key: "high"}, {})
    with pytest.raises(RuntimeError):
        ward.index.select(kind, target, None, {key: "high"}, {}, ward.out)
    assert ward.out.handles() == []
    assert (ward.index.sizes(), ward.index.figures(number)) == before
    # It is still once the message has passed, even if that failed.
    ACTS[act](ward, number)
    assert ward.reached(kind, target, severity="high")[-1] == 2


def test_reading_and_renewing_is_allowed_while_a_message_passes() -> None:
    ward = Ward()
    number = ward.add(1, "ecg", program=HIGH)
    seen: list[object] = []

    def look() -> None:
        ward.index.warn(number, True)
        ward.index.renew(number, 5.0)
        seen.append(ward.index.record(number).renewed_at)
        seen.append(ward.index.numbers(handle(1)))
        seen.append(ward.index.filters()[0].program)
        gc.collect()

    key = Spy("severity")
    key.on_look = look
    assert ward.index.select("ecg", None, None, {key: "high"}, {}, ward.out).matching == 1
    assert seen == [5.0, [number], HIGH]


@pytest.mark.parametrize("filters", [1, 30])
@pytest.mark.parametrize("inside", ["select", "preview", "matches"])
def test_a_message_within_a_message_does_not_mix_with_it(filters: int, inside: str) -> None:
    """The inner one may be refused. If it is not, both get their own answer."""

    def nest() -> None:
        ward, inner = Ward(), Recipients()
        programs = [filter_of({"severity": f"s{slot}"}) for slot in range(filters)]
        for slot, program in enumerate(programs):
            ward.add(slot, "ecg", program=program)
        keeps: list[object] = []

        def publish() -> None:
            # The text is made here and forgotten here: nothing may remember where it was.
            message = {"severity": "".join(["s", "0"])}
            with suppress(RuntimeError):
                if inside == "select":
                    assert ward.index.select("ecg", None, None, message, {}, inner).matching == 1
                elif inside == "preview":
                    assert ward.index.preview("ecg", None, None, message, {})[0].matching == 1
                else:
                    assert [program.matches(message, {}) for program in programs].count(True) == 1
            keeps.append(None)

        key = Spy("severity")
        key.on_look = publish
        for text, reached in (("other", []), (f"s{filters - 1}", [filters - 1])):
            counts = ward.index.select("ecg", None, None, {key: text}, {}, ward.out)
            assert [found & 0xFFFFFFFF for found in ward.out.handles()] == reached
            assert counts == Selection(filters, len(reached), filters - len(reached), 0)
        assert keeps

    in_a_child(nest)


def test_an_error_of_a_message_passes_through_and_leaves_no_recipients() -> None:
    ward = Ward()
    ward.add(1, "ecg", program=HIGH)
    ward.add(2, "ecg")
    key = Spy("severity")
    key.on_look = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        ward.index.select("ecg", None, None, {key: "high"}, {}, ward.out)
    assert ward.out.handles() == []
    assert gc.isenabled()
    assert ward.select("ecg", severity="high") == ([1, 2], Selection(2, 2, 0, 0))


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(enabled: bool) -> None:
    ward = Ward()
    (gc.enable if enabled else gc.disable)()
    try:
        number = ward.add(1, "patient:7", program=HIGH)
        ward.index.replace(number, ANYTHING, 1.0)
        ward.select("patient", "7")
        ward.index.rescope(handle(1), seeing("8"))
        with pytest.raises(ValueError):
            ward.subscribe(1, "patient:7")
        ward.subscribe(1, "patient:8")
        with pytest.raises(ValueError):
            ward.subscribe(1, "patient:8")
        ward.end(1)
        assert gc.isenabled() is enabled
    finally:
        gc.enable()


# -- memory


@contextmanager
def no_memory_after(allocations: int) -> Iterator[list[MemoryError]]:
    """The allocation that comes after so many fails, and that one alone; the error is noted."""
    memory = pytest.importorskip("_testcapi")
    failed: list[MemoryError] = []
    memory.set_nomemory(allocations, allocations + 1)
    try:
        yield failed
    except MemoryError as error:
        memory.remove_mem_hooks()
        failed.append(error)
    finally:
        memory.remove_mem_hooks()


FRESH = filter_of({"fresh": 1, "n": {"$gt": 3}})
COMPOUND = filter_of({"$or": [{"fresh": [1, 2]}, {"n": {"$gt": 3}}, {"other": 5}]})


@pytest.mark.parametrize(
    "act", ["add", "add a filter", "add a topic", "replace", "rescope", "remove", "admit", "select"]
)
@pytest.mark.parametrize("topic", TOPICS)
@pytest.mark.parametrize("filters", [1, 24, 30])
def test_running_out_of_memory_anywhere_leaves_the_index_as_it_was(
    topic: str, act: str, filters: int
) -> None:
    pytest.importorskip("_testcapi")
    in_a_child(lambda: exhaust(topic, act, filters))


def exhaust(topic: str, act: str, filters: int) -> None:
    """Let the first allocation of an act fail, then the second, until it needs no more."""
    kind, target = address(topic)
    door = ("patient", "7", None) if kind == "patient" else ("ecg", "x", "7")
    message = {"severity": "high"}
    failures = allocation = untouched = 0
    # An act may also get on without some memory: it has had all when several in a row were not missed.
    while untouched < 10:
        ward, scope, other = Ward(), seeing("7"), seeing("7", "8", "9")
        index, newcomer = ward.index, handle(200)
        programs = [HIGH, *(filter_of({"n": {"$gt": number}}) for number in range(filters - 1))]
        numbers = [ward.add(slot, topic, scope, programs[slot % filters]) for slot in range(3 + filters)]
        for more in sorted({"vitals", "vitals:1", "patient", "*"} - {topic}):
            ward.subscribe(1, more, HIGH)
        ward.admit(200, scope)
        # Made before memory ends, and called within the same turn of the loop: none sees a later one's names.
        acts: dict[str, Callable[[], object]] = {
            "add": lambda: index.add(newcomer, kind, target, HIGH, 0.0),  # noqa: B023 - called in this turn
            "add a filter": lambda: index.add(newcomer, kind, target, COMPOUND, 0.0),  # noqa: B023 - called in this turn
            "add a topic": lambda: index.add(newcomer, "fresh", target, HIGH, 0.0),  # noqa: B023 - called in this turn
            "replace": lambda: index.replace(numbers[0], FRESH, 1.0),  # noqa: B023 - called in this turn
            "rescope": lambda: index.rescope(handle(1), other),  # noqa: B023 - called in this turn
            "remove": lambda: index.remove(numbers[1]),  # noqa: B023 - called in this turn
            "admit": lambda: index.admit(handle(300), other, None),  # noqa: B023 - called in this turn
            "select": lambda: index.select(*door, message, {}, ward.out),  # noqa: B023 - called in this turn
        }
        chosen, before = acts[act], state_of(ward, door, message)
        with no_memory_after(allocation) as failed:
            chosen()
        after = state_of(ward, door, message)
        assert gc.isenabled()
        if failed:
            assert after == before, f"after {allocation} allocations"
            failures, untouched = failures + 1, 0
        else:
            untouched += 1
        for number in index.all_numbers():
            assert index.remove(number) is not None
        for slot in (*range(3 + filters), 200, 300):
            index.dismiss(handle(slot))
        assert ward.is_empty(), f"after {allocation} allocations: {index.sizes()}"
        assert index.filters() == []
        allocation += 1
    assert failures > 0 or act in ("remove", "admit")


def state_of(ward: Ward, door: tuple[str, str, str | None], message: dict[str, Any]) -> tuple[object, ...]:
    index = ward.index
    numbers = sorted(index.all_numbers())
    records = [index.record(number) for number in numbers]
    for record in records:
        assert index.find(record.handle, record.subscription_type, record.target_id) == record.number
    return (
        index.sizes(),
        records,
        {slot: index.numbers(handle(slot)) for slot in (0, 1, 2, 200)},
        sorted(index.topic_sizes()),
        sorted((entry.program.serial, entry.subscriptions) for entry in index.filters()),
        index.preview(*door, message, {}),
    )


# -- finalisers


CALLS: dict[str, tuple[object, ...]] = {
    "__len__": (),
    "sizes": (),
    "owner": (handle(1),),
    "find": (handle(1), "ecg", "*"),
    "numbers": (handle(1),),
    "count": (handle(1),),
    "all_numbers": (),
    "record": ("number",),
    "records": (handle(1),),
    "all_records": (),
    "renew": ("number", 1.0),
    "warn": ("number", True),
    "hint": ("number",),
    "barren": (0, 100),
    "due": (10.0,),
    "figures": ("number",),
    "filters": (),
    "topic_sizes": (),
    "largest_topics": (3,),
    "addressed": ("ecg", None, 100),
    "select": ("ecg", None, "7", {}, {}, Recipients()),
    "preview": ("ecg", None, "7", {}, {}),
    "admit": (handle(90), EVERYONE, None),
    "dismiss": (handle(50),),
    "rescope": (handle(1), seeing("8")),
    "add": (handle(1), "vitals", "*", HIGH, 0.0),
    "replace": ("number", HIGH, 0.0),
    "remove": ("number",),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("act", ["end", "grow"])
def test_a_finaliser_may_change_the_index_at_any_allocation(call: str, act: str) -> None:
    """The collector runs whatever code finalisers have, inside of any call that makes an object."""
    in_a_child(lambda: collect_within(call, act))


def collect_within(call: str, act: str) -> None:
    gc.freeze()  # or each round would look at all that the tests have loaded
    for allocations in range(40):
        ward, scope = Ward(), seeing("7")
        number = ward.add(1, "ecg", scope, HIGH)
        for slot in range(1, 9):
            for topic in ("ecg", "patient:7", f"ecg:{slot}", "*"):
                if ward.index.find(handle(slot), *address(topic)) == 0:
                    ward.add(slot, topic, scope, filter_of({"n": slot}))
        ward.admit(50)
        method = getattr(ward.index, call)
        arguments = tuple(number if argument == "number" else argument for argument in CALLS[call])
        assert collect_after(allocations, ward, scope, act, method, arguments)
        for slot in range(170):
            if ward.index.owner(handle(slot)) is not None:
                ward.end(slot)
        ward.index.dismiss(handle(90))
        assert ward.is_empty(), f"after {allocations} allocations: {ward.index.sizes()}"


def collect_after(
    allocations: int,
    ward: Ward,
    scope: Scope,
    act: str,
    method: Callable[..., object],
    arguments: tuple[object, ...],
) -> bool:
    """Call the method so that the collector comes to some garbage after so many more objects."""
    happened = False
    there = [slot for slot in range(90) if ward.index.owner(handle(slot)) is not None]

    class Remains:
        """Ends all there is, or adds so much that every table moves."""

        def __del__(self) -> None:
            nonlocal happened
            happened = True
            if act == "end":
                for slot in there:
                    ward.end(slot)
            else:
                for slot in range(100, 170):
                    ward.add(slot, "ecg", scope, filter_of({"n": slot}))

    gc.collect()
    gc.disable()
    remains = Remains()
    remains.self = remains
    del remains
    former = gc.get_threshold()
    # They also empty the store of lists that are made without an allocation.
    ballast: list[list[None]] = [[] for _ in range(200)]
    gc.set_threshold(gc.get_count()[0] + allocations - 5)
    gc.enable()
    try:
        # Between here and the call nothing is made, so that the count of objects is the call's own.
        method(*arguments)
    except ValueError:
        # A connection or subscription that has ended meanwhile is refused as such.
        assert method.__name__ in ACTS
    finally:
        gc.set_threshold(*former)
    del ballast
    gc.collect()
    return happened


def test_an_owner_s_finaliser_may_use_the_index_that_lets_him_go() -> None:
    ward = Ward()

    class Owner:
        def __del__(self) -> None:
            for slot in range(100, 200):
                ward.add(slot, "ecg")

    ward.index.admit(handle(1), EVERYONE, Owner())
    assert ward.index.dismiss(handle(1)) is True
    assert ward.reached("ecg") == list(range(100, 200))
    assert ward.index.admitted == 100
