"""Every query of the dashboard and of the alerts, asked of the Prometheus of the compose file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import synth
from compose_stack import Stack, free_port
from monitoring_queries import alert_queries, dashboard_queries

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

SCRAPED_TWICE_S = 180
"""Within this time there are two scrapes, 15 s apart, and so a rate."""

RANGE = "2m"
NOTHING_HAPPENED = {
    "Recall of live searches A": "an index of so few clips is exact, and no recall is measured",
}


class Prometheus:
    def __init__(self, port: int) -> None:
        self._client = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30, trust_env=False
        )

    def get(self, path: str, **params: str) -> dict[str, Any]:
        answer = self._client.get(path, params=params)
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return what a query finds now, those values apart that are no number."""
        found = self.get("/query", query=query.replace("$__rate_interval", RANGE))["result"]
        return [sample for sample in found if sample["value"][1] != "NaN"]

    def wait_for(self, query: str) -> None:
        deadline = time.monotonic() + SCRAPED_TWICE_S
        while not self.ask(query):
            assert time.monotonic() < deadline, f"nothing for {query}"
            time.sleep(1)

    def close(self) -> None:
        self._client.close()


def send_everything(client: httpx.Client, seed: int) -> None:
    """Send requests of every kind that the dashboard shows, each sound twice for the cache."""
    tone = synth.encode(synth.tone(450 + seed))
    noise = synth.encode(synth.noise(seed), form="FLAC")
    client.put("/clips/tone", files={"audio": tone}).raise_for_status()
    for _ in range(2):
        client.post("/embed", files={"audio": noise}).raise_for_status()
        files = {"mixture": noise, "reference": tone}
        client.post("/difference", files=files).raise_for_status()
        client.post("/search", files={"audio": noise}).raise_for_status()
    assert client.post("/embed", content=b"no audio").status_code == 400


@pytest.fixture(scope="module")
def prometheus(image: str) -> Iterator[Prometheus]:
    """A Prometheus that has watched a service answer."""
    port = free_port()
    stack = Stack("minuend-test-monitoring", PROMETHEUS_PUBLISH=port)
    prometheus = Prometheus(port)
    try:
        stack.compose("--profile", "monitoring", "up", "-d", "minuend", "prometheus")
        stack.wait_until_ready()
        _wait_until_up(prometheus)
        # Rates are of what changes between two scrapes.
        scrapes = 'count_over_time(up{job="minuend"}[10m]) > '
        send_everything(stack.client, seed=0)
        prometheus.wait_for("minuend_audio_seconds_total > 0")
        (before,) = prometheus.ask('count_over_time(up{job="minuend"}[10m])')
        send_everything(stack.client, seed=0)
        prometheus.wait_for(f"{scrapes}{int(before['value'][1]) + 1}")
        yield prometheus
    finally:
        prometheus.close()
        stack.down()


def _wait_until_up(prometheus: Prometheus) -> None:
    deadline = time.monotonic() + SCRAPED_TWICE_S
    while True:
        try:
            prometheus.wait_for('up{job="minuend"} == 1')
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(1)
        else:
            return


@pytest.mark.parametrize("name", dashboard_queries())
def test_a_query_of_the_dashboard_finds_something(prometheus: Prometheus, name: str) -> None:
    found = prometheus.ask(dashboard_queries()[name])

    assert bool(found) != (name in NOTHING_HAPPENED)


def test_every_alert_is_understood_and_none_is_raised(prometheus: Prometheus) -> None:
    (group,) = prometheus.get("/rules")["groups"]
    rules = {rule["name"]: rule for rule in group["rules"]}

    assert rules.keys() == alert_queries().keys()
    assert {rule["health"] for rule in rules.values()} <= {"ok", "unknown"}
    assert {rule["state"] for rule in rules.values()} == {"inactive"}


@pytest.mark.parametrize("name", alert_queries())
def test_an_alert_compares_series_that_exist(prometheus: Prometheus, name: str) -> None:
    left, _ = re.split(r" (?:==|>|<) (?=[\de.]+$)", alert_queries()[name])
    recall = "MinuendRecall"  # see NOTHING_HAPPENED
    faults = "MinuendFaults"  # there is no series of a status that was never answered

    assert bool(prometheus.ask(left)) != (name in {recall, faults})
    assert prometheus.ask(alert_queries()[name]) == []
