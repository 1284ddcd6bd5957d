"""What contestants did, round by round, and what becomes of it: medians, spreads, ratios."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

BUSY_CLIENT = 0.95
"""Share of its processor above which the load client, not the server, may be what is measured."""


@dataclass
class Series:
    """What one contestant did, a value per round."""

    name: str
    rates: list[float] = field(default_factory=list)
    """Deliveries per second."""
    costs: list[float] = field(default_factory=list)
    """Processor seconds of the server per delivery."""
    client_shares: list[float] = field(default_factory=list)

    def summary(self, floor: "Series") -> dict[str, Any]:
        """Medians, and ratios against the floor."""
        paired = [rate / other for rate, other in zip(self.rates, floor.rates, strict=True)]
        saved = [other / cost for cost, other in zip(self.costs, floor.costs, strict=True)]
        return {
            "deliveries_per_second": spread(self.rates),
            "server_cpu_us_per_delivery": spread([cost * 1e6 for cost in self.costs]),
            "ratio_to_floor": spread(paired),
            "cpu_ratio_to_floor": spread(saved),
            "client_cpu_share": max(self.client_shares),
            "rounds_limited_by_client": sum(share > BUSY_CLIENT for share in self.client_shares),
        }


def client_fault(*summaries: Mapping[str, Any]) -> str | None:
    """Why figures of these summaries do not count, if the load client was too busy in a round of theirs.

    A ratio is of all whom it compares: a client that limits one of them limits the ratio.
    """
    # Runs that were kept before it was measured have no share.
    share = max((one.get("client_cpu_share", 0.0) for one in summaries), default=0.0)
    return f"the load client was {share:.0%} busy" if share > BUSY_CLIENT else None


def note(series: Series, rate: float, cost: float, client_share: float) -> None:
    """Add what a round measured."""
    series.rates.append(rate)
    series.costs.append(cost)
    series.client_shares.append(client_share)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Of one figure over the rounds."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}
