"""Who watches one patient: populations of filters, and messages of which one knows how many they reach.

Of each population the same subscriptions are asked by four kinds of messages: one that no filter
matches, one that a hundredth of the subscriptions match, one that all match, and one that reaches
the same number whatever the size of the population. What subscribes when, and so what lies where
in memory, is shuffled.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
DERIVED = {"severity": "normal", "data_type": "ecg"}

NONE, HUNDREDTH, ALL, EQUAL = SHARES = ("none", "hundredth", "all", "equal")

DISTINCT = 1_000
"""Filters of the populations that have more subscriptions than filters."""

WARD = 5
"""Beds of one ward, in the regular expressions."""

NOTE_LENGTH = 240

_SENTENCES = (
    "Alert and oriented, breathing room air. Pain well controlled, lungs clear, abdomen soft, skin warm. "
    "Walked the corridor twice with help and ate half of lunch. Telemetry shows sinus rhythm without ectopy, "
    "pulse regular, drain output minimal, dressing intact. Continue present plan of care."
)
_WORDS = _SENTENCES.split()


@dataclass(frozen=True)
class Population:
    """The filters of all subscriptions to one patient; equal ones are one object."""

    name: str
    title: str
    example: dict[str, Any]
    filters: list[dict[str, Any]]
    receivers: dict[str, int]
    """How many subscriptions each kind of message reaches."""

    message: Callable[[str, int], dict[str, Any]]
    """The message of a kind with this number; no two are alike."""

    @property
    def distinct(self) -> int:
        """How many different filters there are."""
        return len({id(one) for one in self.filters})


def ecg(number: int, **members: Any) -> dict[str, Any]:
    """An ECG message of patient 1."""
    return {
        "type": "ecg_data",
        "patient_id": "1",
        "n": number,
        "lead": "II",
        "samples": [number % 7 / 8, 0.125, 0.5, -0.25],
        "vitals": {"hr": 72.0, "spo2": 97.0},
        **members,
    }


def twelve(count: int, equal: int) -> Population:
    """Twelve filters: a hundredth has the first, ``equal`` the second, and the rest share the others."""
    filters = [{"severity": ["critical", "high"], "lead": lead} for lead in LEADS]
    rest = count - count // 100 - equal
    held = [filters[0]] * (count // 100) + [filters[1]] * equal + [filters[2 + i % 10] for i in range(rest)]

    def message(share: str, number: int) -> dict[str, Any]:
        lead = {HUNDREDTH: LEADS[0], EQUAL: LEADS[1]}.get(share, list(LEADS))
        return ecg(number, lead=lead, severity="normal" if share == NONE else "high")

    return _population("a", "12 distinct filters", held, _receivers(count, equal), message)


def thousand(count: int, equal: int) -> Population:
    """A thousand filters of four shapes, each with a bound of its own; each held by as many."""
    shapes: list[Callable[[int], dict[str, Any]]] = [
        lambda k: {"severity": ["critical", "high"], "vitals.hr": {"$gt": 50 + k}},
        lambda k: {"data_type": "ecg", "lead": ["II", LEADS[k % 12]], "vitals.spo2": {"$lt": 100 - k / 10}},
        lambda k: {"$or": [{"vitals.st": {"$gt": k}}, {"vitals.st": {"$lt": -k}}]},
        lambda k: {"quality": {"$ne": "poor"}, "vitals.rr": {"$gte": 10 + k}},
    ]
    filters = [shapes[i % 4](i // 4) for i in range(DISTINCT)]
    reached, receivers = _of_thousand(count, equal)

    def message(share: str, number: int) -> dict[str, Any]:
        hr, spo2, st, rr = (len(range(shape, reached[share], 4)) for shape in range(4))
        vitals = {"hr": 49.5 + hr, "spo2": 100.05 - spo2 / 10, "st": max(0, st - 0.5), "rr": 9.5 + rr}
        return ecg(number, severity="high", vitals=vitals)

    return _population(
        "b", "1,000 distinct filters of four shapes", _dealt(filters, count), receivers, message
    )


def values(count: int, equal: int) -> Population:
    """Each its own: a severity (or critical), a lead, and a bound of the heart rate."""
    bound = _bounds(count)
    filters = [
        {
            "severity": ["critical", ("high", "warning")[i // 12 % 2]],
            "lead": LEADS[i % 12],
            "vitals.hr": {"$gt": bound(i)},
        }
        for i in range(count)
    ]
    receivers = _receivers(count, equal)

    def message(share: str, number: int) -> dict[str, Any]:
        if share == ALL:
            return ecg(number, severity="critical", lead=list(LEADS), vitals={"hr": 250.0})
        # Of the 24 pairs of a severity and a lead this one has every 24th subscription.
        above = bound(24 * receivers[share] - 12)
        return ecg(number, severity="high", lead=LEADS[0], vitals={"hr": above})

    return _population("c, values", "each its own severity, lead, threshold", filters, receivers, message)


def thresholds(count: int, equal: int) -> Population:
    """Each its own: a bound of the heart rate and nothing else."""
    bound = _bounds(count)
    filters = [{"vitals.hr": {"$gt": bound(i)}} for i in range(count)]
    receivers = _receivers(count, equal)

    def message(share: str, number: int) -> dict[str, Any]:
        return ecg(number, vitals={"hr": bound(receivers[share] - 0.5)})

    return _population("c, thresholds", "each its own threshold", filters, receivers, message)


def ranges(count: int, equal: int) -> Population:
    """Each its own: a narrow range of the heart rate.

    A message carries two readings. What no range holds lies above them all, and what some hold lies
    in their middle: there is no end from which only those that match would be found. All hold two
    readings of which one lies below and one above.
    """
    bound = _bounds(count)
    receivers = _receivers(count, equal)
    overlap = min(receivers[HUNDREDTH], equal)
    width = bound(overlap) - bound(0)
    filters = [{"vitals.hr": {"$gt": bound(i), "$lt": bound(i) + width}} for i in range(count)]

    def message(share: str, number: int) -> dict[str, Any]:
        lowest, highest = {NONE: (300.0, 300.0), ALL: (10.0, 300.0)}.get(share, (0.0, 0.0))
        if not lowest:
            middle = count // 2 - 0.5
            lowest, highest = bound(middle), bound(middle + receivers[share] - overlap)
        return ecg(number, vitals=[{"hr": lowest}, {"hr": highest}])

    return _population("c, ranges", "each its own range", filters, receivers, message)


def regexes(count: int, equal: int) -> Population:
    """A thousand regular expressions on a note: a bed, its ward, or an alarm that is everybody's."""
    filters = [
        {"note": {"$regex": rf"bed {k:03}\b|ward {k // WARD:03}\b|code blue"}} for k in range(DISTINCT)
    ]
    reached, receivers = _of_thousand(count, equal, WARD)
    phrases = {
        NONE: [],
        HUNDREDTH: [f"bed {k:03}" for k in range(reached[HUNDREDTH])],
        ALL: ["code blue"],
        EQUAL: [f"ward {k:03}" for k in range(reached[EQUAL] // WARD)],
    }

    def message(share: str, number: int) -> dict[str, Any]:
        return ecg(number, note=_note(phrases[share], number))

    return _population("d", "1,000 regular expressions", _dealt(filters, count), receivers, message)


POPULATIONS: tuple[Callable[[int, int], Population], ...] = (
    twelve,
    thousand,
    values,
    thresholds,
    ranges,
    regexes,
)


def _population(
    name: str,
    title: str,
    filters: list[dict[str, Any]],
    receivers: dict[str, int],
    message: Callable[[str, int], dict[str, Any]],
) -> Population:
    example = filters[len(filters) // 2]
    random.Random(len(filters)).shuffle(filters)
    return Population(name, title, example, filters, receivers, message)


def _receivers(count: int, equal: int) -> dict[str, int]:
    return {NONE: 0, HUNDREDTH: count // 100, ALL: count, EQUAL: equal}


def _of_thousand(count: int, equal: int, step: int = 1) -> tuple[dict[str, int], dict[str, int]]:
    """How many of a thousand filters each kind of message reaches, and how many subscriptions with them."""
    steps = max(1, round(equal * DISTINCT / count / step))
    reached = {NONE: 0, HUNDREDTH: DISTINCT // 100, ALL: DISTINCT, EQUAL: steps * step}
    return reached, {share: -(-filters * count // DISTINCT) for share, filters in reached.items()}


def _dealt(filters: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Each filter as often as the others, in order."""
    return [filters[i * len(filters) // count] for i in range(count)]


def _bounds(count: int) -> Callable[[float], float]:
    """Heart rates from 40 to 200, as many as there are subscriptions."""
    return lambda place: 40.0 + 160.0 * place / count


def _note(phrases: list[str], number: int) -> str:
    """A note of always the same length with these phrases in it, and no two with the same text."""
    chance = random.Random(number)
    pieces = list(phrases)
    room = NOTE_LENGTH - sum(len(piece) + 1 for piece in pieces)
    for word in chance.sample(_WORDS, len(_WORDS)):
        if len(word) < room:
            pieces.append(word)
            room -= len(word) + 1
    chance.shuffle(pieces)
    return " ".join(pieces).ljust(NOTE_LENGTH, ".")
