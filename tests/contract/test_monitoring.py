"""The dashboard, the alerts and docs/serving.md use the metrics of the service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from monitoring_queries import (
    DEPLOY,
    alert_queries,
    dashboard_queries,
    label_names,
    metric_names,
    panels,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.audio.levels import InputReading
from service.concurrency.timings import RequestTimings
from service.inference.batcher import Run
from service.observability.metrics import Metrics

SERVING = Path(__file__).parents[2] / "docs" / "serving.md"
QUERIES = dashboard_queries() | alert_queries()
SCRAPED = {"up", "job", "instance"}
"""Metrics and labels that Prometheus adds."""


def families() -> dict[str, Metric]:
    """Return all metrics by name, after one observation of each."""
    metrics, timings = Metrics(), RequestTimings()
    timings.add("encode", 0.1)
    metrics.observe(method="GET", route="/info", status=200, took_s=0.1, timings=timings)
    metrics.observe_run(Run(n_clips=1, audio_s=1.0, waited_s=[0.0], took_s=0.1))
    metrics.observe_recall(1.0, is_modified=True)
    metrics.observe_lookup(True)
    metrics.observe_input(InputReading(44_100, 1.0, -20.0, 0.0, 0.0))
    metrics.damaged.labels("audio").set(0)
    metrics.scrubbed.labels("audio").set(0)
    metrics.closures.labels("evicted").inc()
    metrics.bundle.labels("default", "ab", "CPUExecutionProvider").set(1)
    metrics.free.labels("library").set(1e9)
    metrics.part_works.labels("storage").set(1)
    text = metrics.render().decode()
    return {family.name: family for family in text_string_to_metric_families(text)}


def sample_names() -> dict[str, set[str]]:
    """Return the labels of every series by its name."""
    labels: dict[str, set[str]] = {}
    for family in families().values():
        for sample in family.samples:
            labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


def service_metrics() -> set[str]:
    """Return the names of the metrics of the service; counters end in _total."""
    return {
        f"{name}_total" if family.type == "counter" else name
        for name, family in families().items()
        if name.startswith("minuend_")
        and not name.endswith("_created")  # start of a series, added by the library
    }


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_reads_existing_series_and_uses_their_labels(query: str) -> None:
    names, labels = metric_names(query), sample_names()

    assert names
    assert names <= {*labels, *SCRAPED}
    assert label_names(query) <= SCRAPED.union(*(labels.get(name, set()) for name in names))


def test_every_metric_of_the_service_is_on_the_dashboard() -> None:
    read = set().union(*map(metric_names, dashboard_queries().values()))

    assert {
        name for name in service_metrics() if not any(it.startswith(name) for it in read)
    } == set()


def test_the_dashboard_finds_its_data_and_grafana_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "minuend.yml").read_text())[
        "providers"
    ]
    compose = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
    scraping = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())

    uids = {panel["datasource"]["uid"] for panel in panels()}
    assert uids == {source["uid"]}
    mount = f"./grafana/dashboards:{provider['options']['path']}:ro"
    assert mount in compose["grafana"]["volumes"]
    assert source["jsonData"]["timeInterval"] == scraping["global"]["scrape_interval"]


def test_the_documentation_lists_every_metric_and_no_other() -> None:
    rows = re.findall(r"^\| (`minuend_.*?) \|", SERVING.read_text("utf-8"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(minuend_\w+)", row)}

    assert listed == service_metrics()
