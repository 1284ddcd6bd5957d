"""What a patient's monitor says, as a cycle that is known beforehand.

Each message of a monitor has the next number ``n``, and its place in the cycle, ``n % len(CYCLE)``, says
all that a filter can ask for. So whoever knows the cycle knows which numbers a filter lets through, without
asking the server's own filters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, Final

from wsserver.demo.recording import load_recording

SECONDS: Final = 40
"""How long the cycle lasts."""
ECG_RATE: Final = 250
"""Samples per second. The recording has 360; for the size of numbers that makes no difference."""
CHUNK: Final = 50
"""Samples in a message."""
CHUNKS_PER_SECOND: Final = ECG_RATE // CHUNK

ECG, VITALS, ALERT = "ecg", "vitals", "alert"

_WARNING_AT, _CRITICAL_AT = 10, 30
_FAST = range(28, 34)
_PALE = range(9, 12)

OFFSETS: Final = (0.0, 0.1, 0.2, 0.4, 0.5, 0.6, 0.8)
"""When a monitor speaks within each of its seconds; at the fifth it has something to say now and then."""
ALERT_OFFSET: Final = 4


@dataclass(frozen=True, slots=True)
class Say:
    """One place of the cycle."""

    kind: str
    body: Mapping[str, Any]
    """The message without what belongs to the patient, the monitor and the moment."""


def _second(second: int) -> list[Say]:
    heart_rate = 118 + second % 5 if second in _FAST else 64 + second * 7 % 16
    spo2 = 86 if second in _PALE else 97 - second % 3
    chunks = [_ecg(second * CHUNKS_PER_SECOND + chunk) for chunk in range(CHUNKS_PER_SECOND)]
    vitals = {"type": "vitals", "heart_rate": heart_rate, "spo2": spo2, "respiration": 12 + second % 6}
    says = [chunks[0], Say(VITALS, vitals), *chunks[1:3]]
    if second == _WARNING_AT:
        says.append(_alert("warning", f"SpO2 {spo2} %"))
    if second == _CRITICAL_AT:
        says.append(_alert("critical", f"Heart rate {heart_rate}"))
    return [*says, *chunks[3:]]


def _alert(severity: str, text: str) -> Say:
    return Say(ALERT, {"type": "alert", "severity": severity, "message": text})


def _ecg(chunk: int) -> Say:
    samples = _samples()
    start = chunk * CHUNK % (len(samples) - CHUNK)
    return Say(
        ECG,
        {
            "type": "ecg_data",
            "lead": "II",
            "sampling_rate": ECG_RATE,
            "data": samples[start : start + CHUNK],
        },
    )


@cache
def _samples() -> list[int]:
    """The converter's integers, which the protocol's page recommends where size matters."""
    return list(load_recording().samples)


_BY_SECOND: Final = [_second(second) for second in range(SECONDS)]

CYCLE: Final[tuple[Say, ...]] = tuple(say for second in _BY_SECOND for say in second)
PER_SECOND: Final = len(CYCLE) / SECONDS
"""Messages of one monitor."""

FIRST_OF_SECOND: Final = tuple(accumulate((len(second) for second in _BY_SECOND[:-1]), initial=0))


def first_number(monitor: int) -> int:
    """Where in the cycle a monitor begins: they are not all in the same second."""
    return FIRST_OF_SECOND[monitor * 7 % SECONDS]


def phase(monitor: int) -> float:
    """By how many seconds a monitor speaks later than the first one: spread evenly over a fifth of one."""
    return monitor * 0.6180339887 % 1 / CHUNKS_PER_SECOND


@dataclass(frozen=True, slots=True)
class WardFilter:
    """A filter as a client sends it, and the same said in Python, to know what must come."""

    name: str
    filters: Mapping[str, Any]
    lets_through: Callable[[Mapping[str, Any]], bool]

    @property
    def bits(self) -> str:
        """For each place of the cycle whether it lets that through, as 0 and 1."""
        return "".join("01"[self.lets_through(say.body)] for say in CYCLE)


FILTERS: Final = (
    WardFilter("none", {}, lambda body: True),
    WardFilter("waveform", {"type": "ecg_data"}, lambda body: body["type"] == "ecg_data"),
    WardFilter("figures", {"type": ["vitals", "alert"]}, lambda body: body["type"] != "ecg_data"),
    WardFilter("severity", {"severity": ["warning", "critical"]}, lambda body: "severity" in body),
    WardFilter(
        "threshold",
        {"$or": [{"heart_rate": {"$gte": 110}}, {"spo2": {"$lt": 90}}]},
        lambda body: body.get("heart_rate", 0) >= 110 or body.get("spo2", 100) < 90,
    ),
)
NO_FILTER, WAVEFORM, FIGURES, SEVERITY, THRESHOLD = range(len(FILTERS))
