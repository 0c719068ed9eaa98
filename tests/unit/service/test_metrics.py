from __future__ import annotations

from service.metrics import Metrics
from service.timing import Phases


def test_each_application_counts_for_itself() -> None:
    first, second = Metrics(), Metrics()

    first.refused.inc()

    assert b"minuend_overload_refusals_total 1.0" in first.render()
    assert b"minuend_overload_refusals_total 0.0" in second.render()


def test_invented_methods_do_not_make_new_series() -> None:
    metrics = Metrics()

    metrics.observe(method="BREW", route="none", status=405, took_s=0.1, phases=Phases())

    text = metrics.render().decode()
    assert "BREW" not in text
    assert 'minuend_requests_total{method="other",route="none",status="405"} 1.0' in text


def test_phases_are_observed() -> None:
    metrics, phases = Metrics(), Phases()
    phases.seconds["encode"] = 0.3

    metrics.observe(method="POST", route="/embed", status=200, took_s=0.4, phases=phases)

    text = metrics.render().decode()
    assert 'minuend_phase_seconds_bucket{le="0.25",phase="encode"} 0.0' in text
    assert 'minuend_phase_seconds_bucket{le="0.5",phase="encode"} 1.0' in text
