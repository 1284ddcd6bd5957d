"""Which Python functions take the time of a thread, told without a path of this machine."""

import cProfile
import re
import sys
from collections.abc import Mapping
from pathlib import PurePath
from types import CodeType
from typing import Any, Final

import msgspec

# Where a function of C is bound to an object its name holds that object's address.
_ADDRESS: Final = re.compile(r" at 0x[0-9a-f]+")


class FunctionTime(msgspec.Struct, frozen=True, kw_only=True):
    """What one function took."""

    function: str
    """``module:Class.method``, or the name that Python gives to a function of C."""
    calls: int
    own_ms: float
    """Milliseconds in the function itself."""
    total_ms: float
    """The same with all that it called."""


class PythonProfile:
    """A profile of the thread that starts it (from Python 3.12 on of the whole interpreter).

    It makes every call of a function dearer, of Python and of C, while it runs.
    """

    def __init__(self) -> None:
        self._profile = cProfile.Profile()

    def start(self) -> None:
        """Begin. Raises RuntimeError where something else profiles this thread."""
        # Up to 3.11 whoever comes second takes the other's place without a word.
        if sys.getprofile() is not None:
            raise RuntimeError("this thread is being profiled")
        try:
            self._profile.enable()
        except ValueError:
            raise RuntimeError("this interpreter is being profiled") from None

    def stop(self) -> None:
        """End; may be called when it has ended."""
        self._profile.disable()

    def functions(self) -> list[FunctionTime]:
        """Every function that was called, those of the profiler itself left out."""
        modules = _modules_by_file()
        return [
            FunctionTime(
                function=name,
                calls=entry.callcount,
                own_ms=round(entry.inlinetime * 1000, 3),
                total_ms=round(entry.totaltime * 1000, 3),
            )
            # The type that typeshed gives to an entry is one of its own.
            for entry in self._profile.getstats()
            if not (name := _name_of(entry.code, modules)).startswith("<method 'disable' of '_lsprof")
        ]


def top(functions: list[FunctionTime], figure: str, count: int) -> list[FunctionTime]:
    """The first functions by ``own_ms`` or ``total_ms``, the dearest in front."""
    return sorted(functions, key=lambda one: (-getattr(one, figure), one.function))[:count]


def table(functions: list[FunctionTime]) -> list[str]:
    """The functions as lines for people, a heading above."""
    lines = [f"{'calls':>9}  {'own ms':>10}  {'total ms':>10}  function"]
    lines += [
        f"{one.calls:>9}  {one.own_ms:>10.3f}  {one.total_ms:>10.3f}  {one.function}" for one in functions
    ]
    return lines


def _modules_by_file() -> dict[str, str]:
    # A module may be replaced or half loaded by somebody else's thread: hence the copy and the getattr.
    modules = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
    return {file: name for name, file in modules if isinstance(file, str)}


def _name_of(code: Any, modules: Mapping[str, str]) -> str:
    if not isinstance(code, CodeType):
        return _ADDRESS.sub("", str(code))
    # Of a file that is no module's the folders are left out.
    module = modules.get(code.co_filename) or PurePath(code.co_filename).stem
    return f"{module}:{code.co_qualname}"
