"""What clients see of a full disk, and of one that is read-only for a moment."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import orjson
import pytest
import synth
from service_client import Client, serving
from small_disk import fill, read_only, small_disk

from service.catalog.database import Database

TONE = synth.encode(synth.tone(440))
RESERVE_BYTES = 1 << 20
NDJSON = {"content-type": "application/x-ndjson"}


def line(client: Client, clip_id: str, metadata: dict[str, str]) -> bytes:
    fingerprint = client.get("/info").json()["bundle"]["fingerprint"]
    values = {"id": clip_id, "embedding": [1.0] * 8, "fingerprint": fingerprint}
    return orjson.dumps({**values, "metadata": metadata}) + b"\n"


def metric(client: Client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    (value,) = (text.rpartition(" ")[2] for text in lines if text.startswith(name))
    return float(value)


def test_a_full_library_refuses_clips_and_does_all_else(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", 8 << 20) as disk:
        with serving(tiny_bundle_path, disk / "library", reserve_bytes=RESERVE_BYTES) as client:
            client.put_clips({"a": TONE, "b": synth.encode(synth.tone(880))})
            bulk = line(client, "large", {"text": "x" * 16_000})
            filler = fill(disk)

            refused = client.put("/clips/c", files={"audio": synth.encode(synth.tone(220))})
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert "the library" in refused.json()["detail"]
            assert str(disk) not in refused.text
            refused = client.post("/clips/bulk", content=bulk, headers=NDJSON)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert client.get("/clips/c").status_code == 404
            assert client.get("/clips/large").status_code == 404

            assert client.get("/readyz").status_code == 200
            assert client.get("/clips/a/audio").content == TONE
            found = client.result("/search", files={"audio": TONE})
            assert found["hits"][0]["clip_id"] == "a"
            assert metric(client, 'minuend_free_bytes{place="library"}') == 0
            assert metric(client, 'minuend_free_bytes{place="temporary"}') > 0
            assert client.delete("/clips/a").status_code == 204
            assert client.get("/clips/a").status_code == 404

            filler.unlink()
            assert client.put("/clips/c", files={"audio": TONE}).status_code == 201
            assert (disk / "library" / "reserve").stat().st_size == RESERVE_BYTES
            fill(disk)
        with serving(tiny_bundle_path, disk / "library", reserve_bytes=RESERVE_BYTES) as client:
            assert [clip["clip_id"] for clip in client.get("/clips").json()["clips"]] == ["b", "c"]
            assert client.delete("/clips/b").status_code == 204


def test_an_upload_without_room_in_the_temporary_folder_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 16_000 * 60).astype(np.float32)
    long = synth.encode(noise)
    assert len(long) > 1 << 20
    with small_disk(tmp_path / "temporary", 1 << 16) as disk:
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        requests = (
            ("/embed", {"content": long, "headers": {"content-type": "audio/wav"}}),
            ("/embed", {"files": {"audio": long}}),
            ("/clips", {"files": {"audio": long}}),
            ("/clips/bulk", {"content": line(client, "a", {"t": "x"}) * 20_000, "headers": NDJSON}),
        )
        for path, options in requests:
            refused = client.post(path, **options)
            assert (refused.status_code, refused.json()["code"]) == (507, "storage_full")
            assert "temporary folder" in refused.json()["detail"]
        assert client.put("/clips/small", files={"audio": TONE}).status_code == 201
        assert not list(disk.iterdir())


def test_a_moment_of_a_read_only_library_stops_writes_no_longer_than_it_lasts(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.library.health.CHECK_S", 0.0)
    client.put_clips({"a": TONE})
    other = Database(tmp_path / "library" / "catalog.sqlite", schema="")
    client.app.state.services.library.catalog.database.close()  # no connection is idle
    with read_only(tmp_path / "library"):
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert list(answer.json()["parts"]) == ["storage"]
        assert metric(client, 'minuend_part_works{part="storage"}') == 0
        assert client.get("/clips/a").status_code == 200
        for refused in (client.put("/clips/b", files={"audio": TONE}), client.delete("/clips/a")):
            assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
            assert str(tmp_path) not in refused.text
    assert client.get("/readyz").status_code == 200
    assert metric(client, 'minuend_part_works{part="storage"}') == 1
    for _ in range(20):
        assert client.put("/clips/b", files={"audio": TONE}).is_success
    assert client.delete("/clips/a").status_code == 204
    other.close()
