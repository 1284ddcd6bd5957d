"""What becomes of the panels of the live socket, and of answers that were polled."""

from copy import deepcopy
from typing import Any

import pytest
from terminal.panels import ALERTS, METRICS, consumer, overview, slow

from wsserver.cli.terminal.picture import FIGURES, RATES, SORTS, Polled, of_panels, of_polled, sorted_by
from wsserver.status.columns import COLUMNS
from wsserver.status.panels import Capacities


def test_the_panels_make_a_picture() -> None:
    picture = of_panels({"overview": overview(), "slow": slow(consumer(1), consumer(2))})
    assert (picture.source, picture.state, picture.node, picture.uptime_s) == (
        "live", "accepting", "ward7", 2467.0,
    )  # fmt: skip
    shares = {bar.name: bar.share for bar in picture.bars}
    assert (shares["connections"], shares["subscriptions"]) == (0.96, 0.5)
    assert (picture.bars[-1].name, picture.bars[-1].share) == ("queue", None)
    assert (picture.rates["messages_out"], picture.rates["bytes_in"]) == (12_345.0, None)
    assert picture.figures["write_p99_ms"] == 1.25
    assert [row.connection_id for row in picture.slow] == ["c_1", "c_2"]
    assert [(one.alert, one.level) for one in picture.alerts] == [("connection_count", "critical")]


def test_every_figure_is_one_that_the_server_sends() -> None:
    assert {*RATES, *FIGURES} <= {column.name for column in COLUMNS}
    bars = [bar.name for bar in of_panels({"overview": overview()}).bars]
    assert bars == [name.removesuffix("_bytes") for name in Capacities.__struct_fields__]


def test_slow_connections_are_sorted_by_what_is_asked_for() -> None:
    rows = [
        consumer(1, pending_bytes=10, oldest_age_s=1.0, dropped=7),
        consumer(2, pending_bytes=30, oldest_age_s=None, dropped=0),
        consumer(3, pending_bytes=20, oldest_age_s=2.0, dropped=None),
    ]
    picture = of_panels({"overview": overview(), "slow": slow(*rows)})
    found = {sort: [row.connection_id[-1] for row in sorted_by(picture, sort)] for sort in SORTS}
    assert found == {
        "pending_bytes": ["2", "3", "1"],
        "pending_messages": ["3", "2", "1"],
        "oldest_age_s": ["3", "1", "2"],
        "dropped": ["1", "2", "3"],
    }


def test_a_flood_of_rows_is_cut() -> None:
    picture = of_panels({"overview": overview(), "slow": slow(*map(consumer, range(500)))})
    assert len(picture.slow) == 100


@pytest.mark.parametrize("panels", [{}, {"overview": {}}, {"overview": overview(point=None)}])
def test_panels_of_another_version_are_no_picture(panels: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, AttributeError)):
        of_panels(panels)


def polled(seconds: float, **changed: Any) -> Polled:
    metrics = deepcopy(METRICS)
    metrics["messages"].update(changed)
    return Polled(seconds, "now", metrics, ALERTS, [consumer(1), consumer(2, pending_messages=0)])


def test_two_answers_give_rates_and_one_does_not() -> None:
    first = polled(10.0)
    assert set(of_polled(first, None).rates.values()) == {None}
    picture = of_polled(polled(12.0, sent=1300, received=90), first)
    assert picture.rates["messages_out"] == 150.0
    # A server that was started anew counts from nothing.
    assert picture.rates["messages_in"] == 0.0
    assert picture.rates["refused"] is None
    assert of_polled(first, first).rates["messages_out"] is None
    assert (picture.source, picture.state, picture.slow_connections) == ("polled", "answering", 1)
    assert [row.connection_id for row in picture.slow] == ["c_1"]
    assert (picture.figures["loop_lag_ms"], picture.figures["rtt_ms"]) == (2.5, None)
    assert [(bar.name, bar.current, bar.limit) for bar in picture.bars] == [
        ("connections", 20, None), ("subscriptions", 40, None), ("memory", 60 * 2**20, None),
    ]  # fmt: skip


def test_an_overload_is_told() -> None:
    alerts = {**ALERTS, "overload": {"active": True, "causes": ["memory"]}}
    picture = of_polled(Polled(1.0, "now", METRICS, alerts, []), None)
    assert (picture.state, picture.reasons) == ("overloaded", ["memory"])
