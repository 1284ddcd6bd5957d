"""How the cost of a broadcast grows with its subscribers."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def growth(crowds: Sequence[int], rates: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """How the time of one broadcast grows; ``rates`` are deliveries per second, for each of the crowds.

    Of each contestant: ``broadcast_ms``, ``us_per_delivery`` for each crowd, ``last_to_first``, by how much a
    delivery to the largest crowd takes longer than one to the smallest, and ``r_squared``, how much of the
    differences a straight line through (subscribers, time) explains. They are None for too few crowds to
    say: one, and two.
    """
    return {
        "subscribers": list(crowds),
        "contestants": {name: _of_one(crowds, many) for name, many in rates.items()},
    }


def _of_one(crowds: Sequence[int], rates: Sequence[float]) -> dict[str, Any]:
    seconds = [crowd / rate for crowd, rate in zip(crowds, rates, strict=True)]
    return {
        "broadcast_ms": [one * 1e3 for one in seconds],
        "us_per_delivery": [1e6 / rate for rate in rates],
        "last_to_first": rates[0] / rates[-1] if len(crowds) > 1 else None,
        "r_squared": statistics.correlation(crowds, seconds) ** 2 if len(crowds) > 2 else None,
    }
