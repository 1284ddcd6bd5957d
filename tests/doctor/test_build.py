"""What is installed, and the clock."""

import os
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path

import pytest

from wsserver.doctor import build
from wsserver.doctor.build import examine_build, examine_clock
from wsserver.doctor.finding import Finding


def levels(found: list[Finding]) -> dict[str, str]:
    return {one.check: one.level for one in found}


def without(*names: str) -> Callable[[str], object]:
    def load(name: str) -> object:
        if name in names:
            raise ImportError(f"no {name}", name=name)
        return import_module(name)

    return load


@pytest.fixture
def core(tmp_path: Path) -> Path:
    (tmp_path / "hub.cpython.so").write_bytes(b"code")
    (tmp_path / "hub.pyx").write_text("source")
    os.utime(tmp_path / "hub.pyx", (1, 1))
    return tmp_path


def test_what_is_installed_here_is_told(core: Path) -> None:
    found = list(examine_build(core))
    assert levels(found) == {"core": "ok", "http_parser": "ok", "versions": "ok"}
    assert f"aiohttp {metadata.version('aiohttp')}" in found[2].text


def test_a_core_that_is_not_there_or_not_for_speed_is_told(core: Path) -> None:
    (missing, *_) = examine_build(core, without("wsserver_core.connection"))
    assert (missing.level, "wsserver_core.connection" in missing.text) == ("fault", True)
    (core / "hub.cpython.so").write_bytes(b"code __asan_init code")
    assert levels(list(examine_build(core)))["core"] == "warning"


def test_a_core_older_than_its_source_is_told(core: Path) -> None:
    os.utime(core / "hub.cpython.so", (5, 5))
    assert levels(list(examine_build(core)))["core"] == "ok"
    os.utime(core / "hub.pyx", (6, 6))
    (old, *_) = examine_build(core)
    assert (old.level, "hub.cpython.so" in old.text) == ("warning", True)


def test_the_lenient_parser_and_a_missing_package_are_faults(core: Path) -> None:
    assert levels(list(examine_build(core, without("aiohttp._http_parser"))))["http_parser"] == "fault"

    def version(name: str) -> str:
        if name == "apsw":
            raise metadata.PackageNotFoundError(name)
        return "1"

    (*_, told) = examine_build(core, version=version)
    assert (told.level, told.text) == ("fault", "not installed: apsw")


class Clocks:
    def __init__(self, wall: float = 1.8e9, moved: float = 0.0) -> None:
        self.now, self.apart, self.moved = 100.0, wall, moved

    def wall(self) -> float:
        return self.now + self.apart

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.apart += self.moved


@pytest.mark.parametrize(
    ("clocks", "level"),
    [
        (Clocks(), "ok"),
        (Clocks(moved=0.019), "ok"),
        (Clocks(moved=0.021), "warning"),
        (Clocks(moved=-3600.0), "warning"),
        (Clocks(wall=build.EARLIEST - 101), "fault"),
    ],
)
def test_a_clock_that_is_moved_or_stands_years_ago_is_told(clocks: Clocks, level: str) -> None:
    assert examine_clock(clocks.wall, clocks.monotonic, clocks.sleep).level == level
