"""Build of the compiled core.

``WSSERVER_CHECKED=1`` builds it for finding faults instead of for speed: bounds and
None checks, line tracing, assertions and the address and undefined-behaviour
sanitizers, all together.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

CHECKED = os.environ.get("WSSERVER_CHECKED", "") not in ("", "0")

MODULES = [
    "nesting", "frames", "buckets", "addressees", "recipients", "fates", "outgoing", "journal", "histogram",
    "slots", "backlog", "replays", "hub", "wheel", "pulse", "inlet", "connection",
    "patterns", "fields", "conditions", "expressions", "conjunctions", "filter_parser", "filters",
    "scopes", "matcher", "shelves", "roster", "subscriptions", "topic", "catalogue", "selection",
    "topics",
    "messagepack", "lz4_block", "samples", "envelope",
]

WARNINGS = ["-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-missing-field-initializers"]

DIRECTIVES: dict[str, object] = {
    "language_level": 3,
    "embedsignature": False,
    "boundscheck": CHECKED,
    "wraparound": False,
    "initializedcheck": CHECKED,
    "nonecheck": CHECKED,
    "cdivision": True,
    "linetrace": CHECKED,
}

if CHECKED:
    compile_args = [
        *WARNINGS, "-O1", "-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined",
        "-fno-sanitize-recover=undefined", "-DCYTHON_TRACE=1", "-UNDEBUG",
    ]
    link_args = ["-fsanitize=address,undefined"]
else:
    compile_args = [*WARNINGS, "-O3", "-g0", "-fno-strict-aliasing"]
    link_args = []

extensions = [
    Extension(
        f"wsserver_core.{name}",
        [f"wsserver_core/{name}.pyx"],
        extra_compile_args=compile_args,
        extra_link_args=link_args,
    )
    for name in MODULES
]

setup(
    ext_modules=cythonize(
        extensions,
        compiler_directives=DIRECTIVES,
        annotate=CHECKED,
        # A checked and a plain build must never mix: rebuild all when asked for checks.
        force=CHECKED,
    ),
)
