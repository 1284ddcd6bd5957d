"""How families are made, and that labels stay what is known."""

import pytest
from prometheus_client.samples import Sample

from wsserver.prometheus import families
from wsserver_core.histogram import Histogram


def test_what_is_not_known_is_counted_together() -> None:
    counts = {"doctor": 2, "evil": 3, "worse": 4}
    assert families.closed(counts, ("doctor", "nurse")) == {"doctor": 2, "nurse": 0, "other": 7}


def test_a_name_that_is_other_itself_is_counted_with_the_others() -> None:
    assert families.closed({"other": 1, "x": 1}, ("other",)) == {"other": 2}


def test_only_the_first_names_are_kept_each_once() -> None:
    assert families.first_of(["a", "b", "a", "c", "d"], 3) == ("a", "b", "c")


def test_a_gauge_without_a_value_has_no_sample() -> None:
    assert families.gauge("one", "text", None).samples == []
    assert families.gauge("one", "text", 0).samples == [Sample("one", {}, 0)]


def test_labels_may_be_several() -> None:
    family = families.counters("one_total", "text", ("a", "b"), {("x", "y"): 3})
    assert family.samples == [Sample("one_total", {"a": "x", "b": "y"}, 3)]


@pytest.mark.parametrize("labelled", [False, True])
def test_a_histogram_has_the_counts_of_all_up_to_each_bound(labelled: bool) -> None:
    times = Histogram()
    for seconds in (1e-5, 0.3, 0.3, 50.0):
        times.note(seconds)
    family = (
        families.histograms("one", "text", "log", {"durable": times})
        if labelled
        else families.histogram("one", "text", times)
    )
    found = {
        (sample.name, sample.labels.get("le")): sample.value
        for sample in family.samples
        if sample.labels.get("log", "durable") == "durable"
    }
    assert found["one_bucket", "1e-05"] == 1
    assert found["one_bucket", "0.2"] == 1
    assert found["one_bucket", "0.5"] == 3
    assert found["one_bucket", "+Inf"] == found["one_count", None] == 4
    assert found["one_sum", None] == pytest.approx(50.60001)
