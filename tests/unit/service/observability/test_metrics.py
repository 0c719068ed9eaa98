from __future__ import annotations

from service.audio.levels import InputReading
from service.concurrency.timings import RequestTimings
from service.inference.batcher import Run
from service.observability.metrics import Metrics


def test_each_application_counts_for_itself() -> None:
    first, second = Metrics(), Metrics()

    first.refused.inc()

    assert b"minuend_overload_refusals_total 1.0" in first.render()
    assert b"minuend_overload_refusals_total 0.0" in second.render()


def test_invented_methods_do_not_make_new_series() -> None:
    metrics = Metrics()

    metrics.observe(method="BREW", route="none", status=405, took_s=0.1, timings=RequestTimings())

    text = metrics.render().decode()
    assert "BREW" not in text
    assert 'minuend_requests_total{method="other",route="none",status="405"} 1.0' in text


def test_phases_are_observed() -> None:
    metrics, timings = Metrics(), RequestTimings()
    timings.seconds["encode"] = 0.3

    metrics.observe(method="POST", route="/embed", status=200, took_s=0.4, timings=timings)

    text = metrics.render().decode()
    assert 'minuend_phase_seconds_bucket{le="0.25",phase="encode"} 0.0' in text
    assert 'minuend_phase_seconds_bucket{le="0.5",phase="encode"} 1.0' in text


def test_runs_of_the_encoder_are_observed() -> None:
    metrics = Metrics()

    metrics.observe_run(Run(n_clips=3, audio_s=4.5, waited_s=[0.0, 0.3, 0.3], took_s=0.07))

    text = metrics.render().decode()
    assert 'minuend_run_clips_bucket{le="2.0"} 0.0' in text
    assert 'minuend_run_clips_bucket{le="4.0"} 1.0' in text
    assert 'minuend_run_audio_seconds_bucket{le="5.0"} 1.0' in text
    assert 'minuend_run_seconds_bucket{le="0.1"} 1.0' in text
    assert 'minuend_clip_queue_seconds_bucket{le="0.25"} 1.0' in text
    assert "minuend_clip_queue_seconds_count 3.0" in text


def test_inputs_are_observed() -> None:
    metrics = Metrics()

    metrics.observe_input(InputReading(44_100, 1.5, -21.0, 0.0, 0.3))
    metrics.observe_input(InputReading(44_100, 2.0, -120.0, 0.0, 1.0))

    text = metrics.render().decode()
    assert "minuend_audio_seconds_total 3.5" in text
    assert 'minuend_input_files_total{sample_rate_hz="44100"} 2.0' in text
    assert 'minuend_input_level_dbfs_bucket{le="-100.0"} 1.0' in text
    assert 'minuend_input_level_dbfs_bucket{le="-20.0"} 2.0' in text
    assert 'minuend_input_clipped_share_bucket{le="0.0"} 2.0' in text
    assert 'minuend_input_silent_share_bucket{le="0.5"} 1.0' in text


def test_unusual_sample_rates_share_one_series() -> None:
    metrics = Metrics()

    for rate_hz in range(4_000, 7_000, 13):
        metrics.observe_input(InputReading(rate_hz, 1.0, -21.0, 0.0, 0.0))

    series = [
        line
        for line in metrics.render().decode().splitlines()
        if line.startswith("minuend_input_files_total")
    ]
    assert series == ['minuend_input_files_total{sample_rate_hz="other"} 231.0']
