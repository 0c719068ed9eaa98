from __future__ import annotations

import synth
from service_client import Client


def test_a_running_service_is_live_and_ready(client: Client) -> None:
    assert client.get("/healthz").json()["status"] == "live"
    assert client.get("/readyz").json()["status"] == "ready"


def test_a_stopping_service_is_live_but_not_ready(client: Client) -> None:
    client.app.state.services.ready = False

    response = client.get("/readyz")

    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert client.get("/healthz").status_code == 200


def test_info_has_provenance_limits_and_size(client: Client) -> None:
    client.put("/clips/a", files={"audio": synth.encode(synth.tone(440))})

    info = client.get("/info").json()

    assert info["bundle"]["id"] == "tiny-0"
    assert info["service"]["provider"] == "CPUExecutionProvider"
    assert info["encoder"]["dim"] == 8
    assert info["limits"]["max_seconds"] == 1800
    assert info["library"]["clips"] == 1
    assert info["training"]["commit"] == "0" * 40
    assert info["licence"] == "CC0-1.0"


def test_metrics_count_requests_audio_and_clips(client: Client) -> None:
    client.put("/clips/a", files={"audio": synth.encode(synth.tone(440, 1.5))})

    response = client.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = response.text.splitlines()
    put = 'minuend_requests_total{method="PUT",route="/clips/{clip_id}",status="201"} 1.0'
    assert put in lines
    assert "minuend_audio_seconds_total 1.5" in lines
    assert "minuend_library_clips 1.0" in lines
    assert any(line.startswith("minuend_bundle_info{") for line in lines)


def test_info_says_that_there_are_no_towers(client: Client) -> None:
    info = client.get("/info").json()

    assert (info["modifier"], info["towers"]) == (False, None)
    assert info["library"]["not_embedded"] == 0


def test_info_describes_the_towers(words_client: Client) -> None:
    info = words_client.get("/info").json()

    towers = info["towers"]
    assert info["modifier"] is True
    assert len(towers["fingerprint"]) == 64
    assert (towers["dim"], towers["max_tokens"], towers["phrases"]) == (12, 8, 5)
    assert towers["text_precision"] == "float32"
    assert towers["scores"] == {"r_at_10": 0.5}
    assert towers["training"]["recipe"] == {"name": "tiny"}


def test_readiness_names_the_parts_that_do_not_work(client: Client) -> None:
    services = client.app.state.services
    services.batcher.close()

    response = client.get("/readyz")

    assert (response.status_code, response.json()["code"]) == (503, "not_ready")
    assert response.headers["content-type"] == "application/problem+json"
    assert list(response.json()["parts"]) == ["encoder"]
    lines = client.get("/metrics").text.splitlines()
    assert 'minuend_part_works{part="encoder"} 0.0' in lines
    assert 'minuend_part_works{part="index"} 1.0' in lines
    services.ready = False
    assert list(client.get("/readyz").json()["parts"]) == ["service"]
