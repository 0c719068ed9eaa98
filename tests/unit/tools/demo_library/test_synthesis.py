"""What the demo sounds are made of: time, noise, resonances, echo and level."""

from __future__ import annotations

import numpy as np
import pytest

from tools.demo_library.kinds.animals import ANIMALS
from tools.demo_library.kinds.indoors import INDOORS
from tools.demo_library.kinds.town import TOWN
from tools.demo_library.sound import Sound, render
from tools.demo_library.synthesis.level import PEAK, active_rms, limited
from tools.demo_library.synthesis.resonance import Formant, Mode, harmonics, struck, vowel
from tools.demo_library.synthesis.space import echoing
from tools.demo_library.synthesis.spectrum import (
    band,
    convolved,
    filtered,
    moving_noise,
    noise,
    peak,
    tilt,
)
from tools.demo_library.synthesis.timeline import (
    SAMPLE_RATE,
    Values,
    curve,
    decay,
    hits,
    instants,
    n_samples,
    place,
    random_times,
    rms,
    silence,
    unit,
    wander,
)

DB_TOLERANCE = 0.05  # 6.02 for 20 log10(2), and gains that are asymptotes
NOISE_DB_TOLERANCE = 1.0  # levels of bands of a few seconds of noise


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def db(ratio: float) -> float:
    return float(20 * np.log10(ratio))


def strongest_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


def share_between(samples: np.ndarray, low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum())


def named(sounds: tuple[Sound, ...], name: str) -> Sound:
    return next(sound for sound in sounds if sound.name == name)


def test_a_placed_sound_is_added_and_cut_at_both_ends() -> None:
    canvas = np.ones(n_samples(1.0))
    place(canvas, np.ones(n_samples(0.5)), at_s=0.75, gain=2.0)
    place(canvas, np.ones(n_samples(0.5)), at_s=-0.25)
    place(canvas, np.ones(4), at_s=2.0)
    quarter = n_samples(0.25)
    levels = canvas.reshape(4, quarter)
    np.testing.assert_array_equal(levels, np.array([[2.0], [1.0], [1.0], [3.0]]) + 0 * levels)


def test_a_curve_goes_through_its_points() -> None:
    values = curve(1.0, (0.25, 1.0), (0.75, 3.0))
    at = [values[n_samples(t)] for t in (0.0, 0.25, 0.5, 0.75)]
    np.testing.assert_allclose([*at, values[-1]], [1.0, 1.0, 2.0, 3.0, 3.0])


def test_a_decay_falls_by_60_db_in_its_time() -> None:
    assert db(decay(1.0, 0.5)[n_samples(0.5)]) == pytest.approx(-60.0)


def test_hits_fall_on_their_samples_and_add_up() -> None:
    train = hits(1.0, [0.5, 0.5, 1.5], np.array([1.0, 2.0, 4.0]))
    assert np.flatnonzero(train).tolist() == [n_samples(0.5)]
    assert train.sum() == 3.0


def test_random_times_come_at_their_rate_in_order(rng: np.random.Generator) -> None:
    times = random_times(rng, 100.0, per_s=40.0)
    assert len(times) == pytest.approx(4000, rel=0.1)
    assert (np.diff(times) >= 0).all()
    assert 0 <= times[0] <= times[-1] < 100.0


def test_a_wandering_curve_is_slow_and_of_unit_variance(rng: np.random.Generator) -> None:
    path = wander(rng, 20.0, hz=10.0)
    assert abs(path.mean()) < 0.2
    assert 0.7 < path.std() < 1.2
    assert share_between(path, 0.0, 10.0) > 0.99


@pytest.mark.parametrize(("hz", "expected_db"), [(100.0, -3.01), (1000.0, 0.0), (20000.0, -24.1)])
def test_a_band_is_3_db_down_at_its_corner_and_falls_beyond(hz: float, expected_db: float) -> None:
    gain = band(100.0, 5000.0)(np.array([hz]))
    assert db(gain[0]) == pytest.approx(expected_db, abs=DB_TOLERANCE)


def test_a_tilt_changes_by_its_slope_per_octave() -> None:
    gain = tilt(-6.0, from_hz=200.0)(np.array([50.0, 200.0, 400.0, 800.0]))
    np.testing.assert_allclose([db(g) for g in gain], [0.0, 0.0, -6.0, -12.0], atol=DB_TOLERANCE)


def test_a_peak_is_as_wide_as_it_says() -> None:
    gain = peak(1000.0, 100.0)(np.array([950.0, 1000.0, 1050.0]))
    np.testing.assert_allclose(gain, [0.5**0.5, 1.0, 0.5**0.5])


def test_filtering_a_tone_scales_it_by_the_gain() -> None:
    tone = np.sin(2 * np.pi * 1000.0 * instants(1.0))
    np.testing.assert_allclose(filtered(tone, lambda hz: hz / 2000.0), tone / 2, atol=1e-9)


def test_noise_has_unit_rms_and_the_spectrum_asked_for(rng: np.random.Generator) -> None:
    samples = noise(rng, 4.0, band(1000.0, 2000.0, order=8.0))
    assert rms(samples) == pytest.approx(1.0)
    assert share_between(samples, 900.0, 2200.0) > 0.95


def test_moving_noise_without_a_filter_is_white_noise(rng: np.random.Generator) -> None:
    samples = moving_noise(rng, 4.0, lambda hz, t: np.ones((len(t), hz.size)))
    assert len(samples) == n_samples(4.0)
    assert abs(db(rms(samples))) < NOISE_DB_TOLERANCE
    assert abs(db(rms(samples[:2400]))) < NOISE_DB_TOLERANCE


def test_moving_noise_is_where_its_gains_are(rng: np.random.Generator) -> None:
    """Low in the first half, high in the second."""

    def gains(hz: Values, t: Values) -> Values:
        return np.where((t < 1.0) == (hz < 2000.0), 1.0, 0.0)

    first, second = moving_noise(rng, 2.0, gains).reshape(2, -1)
    assert share_between(first[:-1024], 0.0, 2000.0) > 0.99
    assert share_between(second[1024:], 2000.0, SAMPLE_RATE) > 0.99


def test_convolving_with_a_late_impulse_delays(rng: np.random.Generator) -> None:
    samples = rng.standard_normal(5000)
    late = convolved(samples, hits(0.1, [0.01], np.array([1.0])))
    shift = n_samples(0.01)
    np.testing.assert_allclose(late[shift:], samples[:-shift], atol=1e-9)
    np.testing.assert_allclose(late[:shift], 0.0, atol=1e-9)


def test_a_mode_is_a_sine_that_dies_away() -> None:
    mode = Mode(hz=440.0, t60_s=0.8, gain=0.5)
    times = instants(1.0)
    expected = 0.5 * np.sin(2 * np.pi * 440.0 * times) * decay(1.0, 0.8)
    np.testing.assert_allclose(struck([mode], 1.0), expected, atol=1e-9)


def test_modes_above_the_nyquist_frequency_or_too_faint_are_left_out() -> None:
    heard = Mode(hz=1000.0, t60_s=0.5, gain=1.0)
    others = [Mode(hz=SAMPLE_RATE * 0.6, t60_s=0.5, gain=1.0), Mode(2000.0, 0.5, 1e-5)]
    np.testing.assert_array_equal(struck([heard, *others], 0.5), struck([heard], 0.5))


def test_harmonics_lie_at_multiples_of_the_pitch() -> None:
    samples = harmonics(np.full(SAMPLE_RATE, 200.0), np.ones_like, slope=1.0, limit=3)
    level = np.abs(np.fft.rfft(samples)) * 2 / SAMPLE_RATE
    np.testing.assert_allclose(level[[200, 400, 600]], [1.0, 1 / 2, 1 / 3], rtol=1e-6)
    assert level.sum() == pytest.approx(1 + 1 / 2 + 1 / 3, rel=1e-3)


def test_no_harmonic_is_folded_back_from_above_the_nyquist_frequency() -> None:
    rising = np.linspace(2000.0, 7000.0, SAMPLE_RATE)
    samples = harmonics(rising, np.ones_like, slope=0.0)
    assert share_between(samples, 0.0, 1900.0) < 1e-3


def test_a_vowel_is_loudest_at_its_formants() -> None:
    gain = vowel([Formant(500.0, 80.0), Formant(1500.0, 120.0, 0.5)])
    hz = np.arange(100.0, 3000.0)
    levels = gain(hz)
    tops = hz[1:-1][(levels[1:-1] > levels[:-2]) & (levels[1:-1] > levels[2:])]
    np.testing.assert_allclose(tops, [500.0, 1500.0], atol=3.0)


def test_an_echo_follows_the_sound_and_dies_away(rng: np.random.Generator) -> None:
    wet = echoing(rng, hits(1.0, [0.1], np.array([1.0])), t60_s=0.5, wet=0.5)
    tail = wet[n_samples(0.1) + 1 :]
    assert wet[n_samples(0.1)] == pytest.approx(1.0)
    np.testing.assert_allclose(wet[: n_samples(0.1)], 0.0, atol=1e-9)
    assert np.sum(tail**2) == pytest.approx(0.5, rel=1e-6)
    assert rms(tail[: n_samples(0.1)]) > 10 * rms(tail[n_samples(0.3) : n_samples(0.4)])


def test_limiting_keeps_soft_samples_and_bends_loud_ones() -> None:
    samples = np.linspace(-3.0, 3.0, 601)
    bent = limited(samples)
    soft = np.abs(samples) < 0.3
    np.testing.assert_allclose(bent[soft], samples[soft])
    assert (np.diff(bent) >= 0).all()
    assert np.abs(bent).max() <= PEAK


def test_the_active_level_leaves_pauses_out(rng: np.random.Generator) -> None:
    burst = unit(rng.standard_normal(n_samples(1.0)))
    assert active_rms(np.concatenate([burst, silence(3.0)])) == pytest.approx(1.0, rel=0.01)


def test_a_bell_rings_at_the_partials_of_its_prime() -> None:
    """The hum is an octave below the strike note, the nominal an octave above."""
    ringing = render(named(TOWN, "bell-large"))[n_samples(0.3) : n_samples(2.3)]
    for partial_hz in (131.0, 262.0, 311.8, 524.0):
        around = share_between(ringing, partial_hz * 0.97, partial_hz * 1.03)
        assert around > 20 * share_between(ringing, partial_hz * 1.06, partial_hz * 1.12)


def test_a_cricket_sings_between_four_and_five_kilohertz() -> None:
    assert 4000.0 < strongest_hz(render(named(ANIMALS, "crickets-one"))) < 5000.0


def test_a_knocked_door_is_knocked_as_often_as_it_says() -> None:
    samples = render(named(INDOORS, "knock-polite"))
    frames = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    level = np.sqrt(np.mean(frames**2, axis=1))
    onsets = np.flatnonzero((level[1:] > 3 * level[:-1]) & (level[1:] > 0.3 * level.max()))
    assert np.count_nonzero(np.diff(onsets, prepend=-10) > 3) == 6


def test_a_passing_siren_gets_lower() -> None:
    """The top of the wail before it passes, and the top after it has passed."""
    samples = render(named(TOWN, "siren-wail"))
    tops = [
        strongest_hz(samples[n_samples(start) : n_samples(start + 0.3)]) for start in (0.7, 3.05)
    ]
    assert 1.02 < tops[0] / tops[1] < 1.12
