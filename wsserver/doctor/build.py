"""What is installed: the compiled core, and the versions it all stands on."""

import platform
import time
from collections.abc import Callable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Final

from wsserver._version import __version__
from wsserver.doctor.finding import Finding, fault, ok, warning

PACKAGES: Final = ("aiohttp", "uvloop", "msgspec", "apsw", "cryptography")

PROBE: Final = 0.2
"""Seconds for which the clocks are watched."""

MOVED: Final = 0.02
"""Seconds by which they may go apart meanwhile."""

EARLIEST: Final = 1_735_689_600.0
"""2025-01-01, before which there was no such server."""

_MARK: Final = b"__asan_init"
_REBUILD: Final = "python setup.py build_ext --inplace, or install the package again"


def examine_build(
    core: Path | None = None,
    load: Callable[[str], object] = import_module,
    version: Callable[[str], str] = metadata.version,
) -> Iterator[Finding]:
    """Whether the core is there, built for speed and of this source; and the versions."""
    try:
        load("wsserver_core.hub")
        load("wsserver_core.connection")
    except ImportError as problem:
        yield fault("core", f"the compiled core cannot be loaded: {problem.name or 'a part'}", _REBUILD)
    else:
        yield _core(core or Path(str(import_module("wsserver_core").__path__[0])))
    yield _http_parser(load)
    yield _versions(version)


def _core(folder: Path) -> Finding:
    modules = sorted(folder.glob("*.so"))
    if any(_MARK in module.read_bytes() for module in modules):
        return warning(
            "core",
            "the core is built for finding faults: several times slower, and ends at the first",
            _REBUILD,
        )
    old = [module for module in modules if _is_older_than_its_source(module)]
    if old:
        return warning(
            "core", f"{len(old)} parts of the core are older than their source ({old[0].name})", _REBUILD
        )
    return ok("core", f"{len(modules)} parts, built for speed")


def _is_older_than_its_source(module: Path) -> bool:
    source = module.with_name(f"{module.name.partition('.')[0]}.pyx")
    return source.exists() and source.stat().st_mtime > module.stat().st_mtime


def _http_parser(load: Callable[[str], object]) -> Finding:
    try:
        load("aiohttp._http_parser")
    except ImportError:
        return fault(
            "http_parser",
            "aiohttp has no compiled HTTP parser, and its other one is lenient",
            "install its wheel",
        )
    return ok("http_parser", "aiohttp has its compiled HTTP parser")


def _versions(version: Callable[[str], str]) -> Finding:
    told = [f"wsserver {__version__}", f"{platform.python_implementation()} {platform.python_version()}"]
    missing = []
    for name in PACKAGES:
        try:
            told.append(f"{name} {version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return fault("versions", f"not installed: {', '.join(missing)}", "install the package again")
    return ok("versions", ", ".join(told))


def examine_clock(
    wall: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Finding:
    """Whether the wall clock goes as the monotonic one does, by which all durations are told."""
    before = wall() - monotonic()
    sleep(PROBE)
    moved = wall() - monotonic() - before
    if wall() < EARLIEST:
        return fault(
            "clock", "the clock of this machine stands years ago: no token would hold", "set it, and run NTP"
        )
    if abs(moved) > MOVED:
        return warning(
            "clock",
            f"the wall clock, by which tokens expire, was moved by {moved * 1000:.0f} ms meanwhile",
            "let NTP slew the clock instead of stepping it",
        )
    return ok("clock", "the wall clock goes as the monotonic one")
