"""What a finding says."""

from wsserver.doctor.finding import fault, ok, skipped, warning


def test_only_what_is_wrong_has_a_remedy() -> None:
    assert [(one.level, one.remedy) for one in (ok("a", "t"), skipped("a", "t"))] == [
        ("ok", None), ("skipped", None),
    ]  # fmt: skip
    assert [(one.level, one.remedy) for one in (warning("a", "t", "r"), fault("a", "t", "r"))] == [
        ("warning", "r"), ("fault", "r"),
    ]  # fmt: skip
