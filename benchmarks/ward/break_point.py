"""How much a ward may grow: which load is tried next, whether it held, and what gave way first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Final

from benchmarks.contest.series import BUSY_CLIENT

LIMIT_MS: Final = 100.0
"""Milliseconds within which 99 of 100 messages must come."""
BISECTIONS: Final = 2
CHURN_DONE: Final = 0.9
"""Part of the viewers that were to be exchanged who must have come, up to their last subscription."""
UNDER_WAY: Final = 1
"""Viewers that may be on their way at the end without being missed, however few were to come."""
SERVER_BUSY: Final = 0.9
DISTURBED: Final = 0.1
"""Part of the time that the server may wait for its processor before others are what broke it."""

LADDER: Final = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
"""Loads as parts of the ward: at 1 each of its patients has one monitor, at 2 two."""

_SIGNS: Final = {
    "busy": "the server's processor was used up",
    "late": "the backend in the server's loop published 100 ms late",
    "behind": "queues of clients that read filled up",
    "refusing": "publishers were refused (1005)",
    "closing_slow": "clients that do not read were closed (4005)",
    "overload": "the server counted as overloaded and took in nobody new",
}
"""What a server is watched for, in words."""

_EXPECTED: Final = "closing_slow"
"""Happens to those who do not read at any load."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was measured at one load, as far as it decides."""

    load: float
    p99_ms: float
    """Of viewers who read as they should; likewise the rest."""
    alert_p99_ms: float = 0.0
    """The same of alerts, of which there are few."""
    lost: int = 0
    closed: int = 0
    refused: int = 0
    """Messages that the publisher was told to bring later."""
    unpublished: int = 0
    """Messages that were due and that the backend did not come to publish."""
    faults: int = 0
    """Duplicates, messages out of order, and such as should not have come."""
    churn_asked: int = 0
    """Viewers that were to be exchanged."""
    churn_done: int = 0
    """Viewers that came in their stead and have subscribed to all that is theirs."""
    overloaded: bool = False
    server_share: float = 0.0
    waited_share: float = 0.0
    """Part of the time in which the server waited for its processor, which others had."""
    loop_lag_ms: float = 0.0
    collection_ms: float = 0.0
    """The longest that the garbage collector held that loop."""
    client_share: float = 0.0
    first: Mapping[str, float] = field(default_factory=dict)
    """When each sign was seen first, in seconds."""

    @property
    def is_valid(self) -> bool:
        """Whether it says something about the server."""
        return self.client_share <= BUSY_CLIENT

    @property
    def holds(self) -> bool:
        """Whether the ward is served at this load."""
        return self.is_valid and not list(self.failures())

    def failures(self) -> Iterator[str]:
        """In what it does not hold, in words."""
        if self.p99_ms > LIMIT_MS:
            yield f"p99 of {self.p99_ms:,.0f} ms"
        if self.alert_p99_ms > LIMIT_MS:
            yield f"p99 of alerts of {self.alert_p99_ms:,.0f} ms"
        for count, what in (
            (self.lost, "messages lost by viewers who read"),
            (self.closed, "viewers who read were closed"),
            (self.refused, "messages refused at the door"),
            (self.unpublished, "messages never published"),
            (self.faults, "messages twice, out of order or to the wrong viewer"),
        ):
            if count:
                yield f"{count:,} {what}"
        if self.churn_done < min(CHURN_DONE * self.churn_asked, self.churn_asked - UNDER_WAY):
            yield f"only {self.churn_done:,} of {self.churn_asked:,} viewers exchanged"
        if self.overloaded:
            yield "an overload"


def next_load(
    steps: Sequence[Step], ladder: Sequence[float] = LADDER, bisections: int = BISECTIONS
) -> float | None:
    """The load to try after these: up the ladder until one does not hold, then between; None at the end."""
    broken = [step.load for step in steps if not step.holds]
    if not broken:
        return next((load for load in ladder if all(step.load < load for step in steps)), None)
    above = min(broken)
    below = max((step.load for step in steps if step.holds and step.load < above), default=None)
    if below is None or sum(step.load not in ladder for step in steps) >= bisections:
        return None
    return round(sqrt(below * above), 3)


def highest_held(steps: Sequence[Step]) -> Step | None:
    """The highest load that held, of those below every one that did not."""
    above = min((step.load for step in steps if not step.holds), default=float("inf"))
    return max((step for step in steps if step.load < above), key=lambda step: step.load, default=None)


def first_broken(steps: Sequence[Step]) -> Step | None:
    """The lowest load that did not hold."""
    return min((step for step in steps if not step.holds), key=lambda step: step.load, default=None)


def verdict(steps: Sequence[Step]) -> str:
    """What broke first, and how that is known, in a sentence."""
    step = first_broken(steps)
    if step is None:
        return f"Nothing broke up to a load of {max((one.load for one in steps), default=0):g}."
    where = f"At a load of {step.load:g}"
    if not step.is_valid:
        return f"{where} the load client was {step.client_share:.0%} busy: the server was not what broke."
    return f"{where} there were {', '.join(step.failures())}: {_cause(step)}."


def _cause(step: Step) -> str:
    signs = sorted((at, name) for name, at in step.first.items() if name in _SIGNS and name != _EXPECTED)
    told = [f"{_SIGNS[name]} ({at:.1f} s into it)" for at, name in signs]
    if step.waited_share > DISTURBED:
        return (
            f"the machine was not quiet, and the server waited {step.waited_share:.0%} of the time for its "
            f"processor, which it used for {step.server_share:.0%}"
        )
    state = f"server {step.server_share:.0%} busy, its loop up to {step.loop_lag_ms:,.0f} ms late"
    if step.server_share < SERVER_BUSY and step.collection_ms > LIMIT_MS / 2:
        return f"the garbage collector held the loop for {step.collection_ms:,.0f} ms at a time; {state}"
    if signs and (signs[0][1] == "busy" or step.server_share < SERVER_BUSY):
        return f"first {', then '.join(told)}; {state}"
    if step.server_share >= SERVER_BUSY:
        # Used up in bursts, which half a second does not show.
        return (
            f"first the server's processor was used up ({step.server_share:.0%} on the average)"
            + "".join(f", then {one}" for one in told)
            + f"; its loop was up to {step.loop_lag_ms:,.0f} ms late"
        )
    return f"neither processor, queues nor door gave way; {state}"
