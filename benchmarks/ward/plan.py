"""The plan that the ward's client gets: what monitors say, and who watches, as lines of a file.

Members are separated by tabs::

    cycle    EVEEEE…                       the kind of each place of the cycle
    ward     PATIENTS MONITORS             a monitor's patient is its number modulo PATIENTS
    starts   N N …                         the first number of each monitor
    filter   0101…                         whether it lets each place of the cycle through
    viewer   PLACE SLOW PROTOCOL FILTER PATIENTS TOKEN COMMAND COMMAND …
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.ward.monitors import CYCLE, FILTERS, first_number
from benchmarks.ward.population import Population, Viewer
from wsserver.access.tokens import mint_token
from wsserver.clock import SystemClock
from wsserver.settings import Loaded

ROLE: Final = "nurse"
"""Of the example policy: it may use wildcards, which show what the token allows."""

_LETTERS: Final = {"ecg": "E", "vitals": "V", "alert": "A"}


def patient_id(patient: int) -> str:
    """The patient's id: five digits behind a letter, which the client relies on."""
    return f"p{patient:05}"


def write_plan(path: Path, population: Population, monitors: int, loaded: Loaded) -> None:
    """Write it for a ward of that many monitors, with a token for each viewer."""
    path.write_text("".join(f"{line}\n" for line in _lines(population, monitors, loaded)))


def _lines(population: Population, monitors: int, loaded: Loaded) -> Iterator[str]:
    clock = SystemClock()
    yield "cycle\t" + "".join(_LETTERS[say.kind] for say in CYCLE)
    yield f"ward\t{population.patients}\t{monitors}"
    yield "\t".join(["starts", *(str(first_number(monitor)) for monitor in range(monitors))])
    for one in FILTERS:
        yield f"filter\t{one.bits}"
    for viewer in population.viewers:
        token = mint_token(
            loaded.settings.auth,
            clock,
            user_id=f"viewer-{viewer.number:05}",
            role=ROLE,
            lifetime=7200,
            patients="*" if viewer.view == "house" else map(patient_id, viewer.patients),
        )
        yield "\t".join(
            [
                "viewer",
                viewer.place,
                viewer.slow or "-",
                "wsserver.v1.bin" if viewer.binary else "wsserver.v1.json",
                str(viewer.filter),
                ",".join(map(str, viewer.patients)),
                token,
                *_commands(viewer),
            ]
        )


def _commands(viewer: Viewer) -> Iterator[str]:
    targets = map(patient_id, viewer.patients) if viewer.view == "list" else ["*"]
    for target in targets:
        command = {"type": "subscribe", "topic": f"patient:{target}"}
        filters = FILTERS[viewer.filter].filters
        yield json.dumps(command | ({"filters": filters} if filters else {}), separators=(",", ":"))
