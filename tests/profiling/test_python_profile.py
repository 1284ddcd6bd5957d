"""What is told of a profile: functions by module, never a path of this machine."""

import re

import pytest

from wsserver.ids import canonical_id
from wsserver.profiling.python_profile import FunctionTime, PythonProfile, table, top


def profiled() -> list[FunctionTime]:
    profile = PythonProfile()
    profile.start()
    try:
        for number in range(7):
            canonical_id(number)
        object.__new__(object)
        exec(compile("def made_up(): pass\nmade_up()", "/secret/place/of_mine.py", "exec"), {})
    finally:
        profile.stop()
    return profile.functions()


def test_functions_are_told_by_module_and_name() -> None:
    (ours,) = [one for one in profiled() if one.function == "wsserver.ids:canonical_id"]
    assert ours.calls == 7
    assert 0 <= ours.own_ms <= ours.total_ms


def test_no_path_and_no_address_is_told() -> None:
    names = [one.function for one in profiled()]
    assert "of_mine:made_up" in names
    for name in names:
        assert "/" not in name, name
        assert not re.search(r"0x[0-9a-f]{4}", name), name
    assert "<built-in method __new__ of type object>" in names


def test_the_profiler_does_not_tell_of_itself() -> None:
    assert not [one for one in profiled() if "disable" in one.function]


def test_only_one_may_profile_a_thread() -> None:
    first, second = PythonProfile(), PythonProfile()
    first.start()
    try:
        with pytest.raises(RuntimeError, match="being profiled"):
            second.start()
    finally:
        first.stop()
    second.start()
    second.stop()


def time_of(function: str, own: float, total: float) -> FunctionTime:
    return FunctionTime(function=function, calls=1, own_ms=own, total_ms=total)


def test_the_dearest_come_first() -> None:
    all_of_them = [time_of("a", 1, 9), time_of("c", 3, 3), time_of("b", 3, 4)]
    assert [one.function for one in top(all_of_them, "own_ms", 2)] == ["b", "c"]
    assert [one.function for one in top(all_of_them, "total_ms", 9)] == ["a", "b", "c"]


def test_people_get_a_table() -> None:
    assert table([time_of("m:f", 1.25, 12345.6789)]) == [
        "    calls      own ms    total ms  function",
        "        1       1.250   12345.679  m:f",
    ]
