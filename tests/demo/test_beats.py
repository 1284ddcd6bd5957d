from collections import Counter
from itertools import pairwise

import pytest

from wsserver.demo.beats import PREMATURE_RATIO, WIDE_SECONDS, Beat, BeatDetector, BeatKind
from wsserver.demo.recording import Recording, load_recording


@pytest.fixture(scope="module")
def recording() -> Recording:
    return load_recording()


@pytest.fixture(scope="module")
def beats(recording: Recording) -> list[Beat]:
    return BeatDetector(recording.rate).feed(recording.millivolts(0, len(recording)))


def pulse(rate: int, width: float, height: float = 1.0) -> list[float]:
    """A triangle of the given width at half height."""
    half = round(width * rate)
    rise = [height * step / half for step in range(half)]
    return [*rise, height, *reversed(rise)]


def rhythm(rate: int, intervals: list[float], width: float = 0.03, height: float = 1.0) -> list[float]:
    samples: list[float] = [0.0] * rate
    for interval in intervals:
        shape = pulse(rate, width, height)
        samples += shape + [0.0] * (round(interval * rate) - len(shape))
    return samples


def test_the_record_has_a_plausible_number_of_beats(beats: list[Beat], recording: Recording) -> None:
    assert len(beats) == 509
    assert 60 < 60 * len(beats) / recording.seconds < 120


def test_the_record_has_the_known_number_of_abnormal_beats(beats: list[Beat]) -> None:
    assert Counter(beat.kind for beat in beats) == {
        BeatKind.NORMAL: 395,
        BeatKind.WIDE: 105,
        BeatKind.PREMATURE: 9,
    }


def test_widths_fall_into_two_groups_with_a_valley_at_the_rules_boundary(beats: list[Beat]) -> None:
    narrow = sum(beat.width < 0.060 for beat in beats)
    wide = sum(0.080 <= beat.width < 0.120 for beat in beats)
    assert (narrow, wide) == (401, 92)
    assert narrow + wide > 0.96 * len(beats)


def test_ventricular_beats_that_the_eye_sees_are_wide(beats: list[Beat]) -> None:
    seen = (151.8, 152.3, 153.6, 159.2, 200.6, 204.1, 207.5, 208.0, 231.7, 232.2, 233.6, 253.2, 257.2, 258.6)
    wide = [beat.position / 360 for beat in beats if beat.kind is BeatKind.WIDE]
    missed = [moment for moment in seen if not any(abs(moment - found) < 0.1 for found in wide)]
    assert missed == []


def test_no_two_beats_are_closer_than_a_heart_can_beat(beats: list[Beat]) -> None:
    assert min(later.position - earlier.position for earlier, later in pairwise(beats)) >= round(0.22 * 360)


def test_the_gain_does_not_change_what_is_found(recording: Recording, beats: list[Beat]) -> None:
    louder = [1.2 * value for value in recording.millivolts(0, len(recording))]
    found = BeatDetector(recording.rate).feed(louder)
    assert abs(len(found) - len(beats)) <= 3


@pytest.mark.parametrize("size", [1, 36, 37, 1000])
def test_the_cutting_into_pieces_does_not_change_what_is_found(recording: Recording, size: int) -> None:
    samples = recording.millivolts(50_000, 10_000)
    whole = BeatDetector(recording.rate).feed(samples)
    detector = BeatDetector(recording.rate)
    pieces = [beat for at in range(0, len(samples), size) for beat in detector.feed(samples[at : at + size])]
    assert pieces == whole
    assert len(whole) > 40


def test_the_seam_between_end_and_beginning_is_no_beat_of_its_own(recording: Recording) -> None:
    lead_in = 20 * recording.rate
    samples = recording.millivolts(len(recording) - lead_in, 2 * lead_in)
    found = BeatDetector(recording.rate).feed(samples)
    near = [beat for beat in found if abs(beat.position - lead_in) < recording.rate / 5]
    assert near == []


def test_a_beat_is_reported_where_its_top_is() -> None:
    detector = BeatDetector(360)
    (beat,) = detector.feed([0.0] * 100 + pulse(360, 0.03) + [0.0] * 100)
    assert abs(beat.position - (100 + round(0.03 * 360))) <= 1
    assert beat.interval is None


@pytest.mark.parametrize("rate", [250, 360, 500])
def test_a_steady_rhythm_gives_its_rate_and_no_abnormal_beat(rate: int) -> None:
    detector = BeatDetector(rate)
    found = detector.feed(rhythm(rate, [0.8] * 20))
    assert [beat.abnormal for beat in found] == [False] * 20
    assert detector.heart_rate == 75


def test_a_beat_from_the_stated_width_on_is_wide() -> None:
    for width, kind in ((WIDE_SECONDS - 0.01, BeatKind.NORMAL), (WIDE_SECONDS + 0.01, BeatKind.WIDE)):
        (beat,) = BeatDetector(360).feed([0.0] * 360 + pulse(360, width) + [0.0] * 100)
        assert beat.kind is kind, width
        assert beat.width == pytest.approx(width, abs=0.012)


def test_a_beat_that_comes_too_early_is_premature() -> None:
    early = 0.8 * (PREMATURE_RATIO - 0.05)
    found = BeatDetector(360).feed(rhythm(360, [0.8] * 10 + [early, 0.8]))
    assert [beat.kind for beat in found] == [BeatKind.NORMAL] * 11 + [BeatKind.PREMATURE]


def test_a_beat_within_the_stated_ratio_is_not_premature() -> None:
    late_enough = 0.8 * (PREMATURE_RATIO + 0.05)
    found = BeatDetector(360).feed(rhythm(360, [0.8] * 10 + [late_enough, 0.8]))
    assert not any(beat.abnormal for beat in found)


def test_nobody_is_premature_before_a_rhythm_is_known() -> None:
    found = BeatDetector(360).feed(rhythm(360, [0.9, 0.9, 0.5, 0.9]))
    assert not any(beat.abnormal for beat in found)


def test_small_waves_and_slow_swells_are_no_beats() -> None:
    ripple = rhythm(360, [0.8] * 5, height=0.3)
    swell = pulse(360, 1.0, height=2.0)
    assert BeatDetector(360).feed(ripple + swell + swell) == []


def test_without_a_signal_there_is_no_heart_rate() -> None:
    detector = BeatDetector(360)
    rates = [detector.heart_rate]
    for samples in (rhythm(360, [0.8] * 10), [0.0] * (3 * 360)):
        detector.feed(samples)
        rates.append(detector.heart_rate)
    assert rates == [None, 75, None]


def test_a_pause_is_no_interval() -> None:
    detector = BeatDetector(360)
    detector.feed(rhythm(360, [0.8] * 10) + [0.0] * (3 * 360))
    (beat,) = detector.feed(pulse(360, 0.03) + [0.0] * 50)
    assert beat.interval is None
    assert not beat.abnormal
