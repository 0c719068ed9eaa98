from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import synth
import tiny_bundle
from service_client import Client, serving
from shell import opened, records, run, run_json, write_tones

from service.bundle.files import load_bundle
from service.clips import NewClip
from service.inference.embedding_space import make_space
from service.library.library import Library

N_CLIPS = 150


@pytest.fixture(scope="module")
def new_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle.write(tmp_path_factory.mktemp("bundles") / "new", seed=1, towers=0)


@pytest.fixture
def library(tmp_path: Path, tiny_bundle_path: Path) -> Path:
    """A library of the old bundle with three clips."""
    write_tones(tmp_path / "sounds", 3)
    run("index", tmp_path / "sounds", *options(tmp_path / "library", tiny_bundle_path))
    return tmp_path / "library"


def options(library: Path, bundle: Path) -> list[Any]:
    return ["--library", library, "--bundle", bundle]


def test_a_library_is_embedded_with_another_encoder(
    library: Path, tiny_bundle_path: Path, new_bundle: Path
) -> None:
    paths = options(library, new_bundle)
    assert "index --reembed" in run("search", "--modifier", "low", *paths, code=1).stderr

    report = run_json("index", "--reembed", *paths)

    assert report == {"embedded": 3, "unchanged": 0, "left_out": [], "dropped": 0}
    assert len(run_json("search", "--modifier", "low", *paths)["hits"]) == 3
    assert len(records(library, tiny_bundle_path)) == 3


def test_the_report_lists_clips_that_could_not_be_embedded(library: Path, new_bundle: Path) -> None:
    paths = options(library, new_bundle)
    (library.parent / "sounds" / "001.wav").unlink()

    result = run("index", "--reembed", *paths, code=3)

    assert "2 clips embedded, 0 were already" in result.stdout
    assert "1 clips could not be embedded" in result.stderr
    assert "is missing" in result.stderr
    left_out = run_json("index", "--reembed", *paths, code=3)["left_out"]
    assert [clip["code"] for clip in left_out] == ["clip_audio_missing"]


def test_old_embeddings_are_dropped_if_the_clip_has_a_new_one(
    library: Path, tiny_bundle_path: Path, new_bundle: Path
) -> None:
    bundle = load_bundle(tiny_bundle_path)
    opened_library = Library.open(library, space=make_space(bundle, None))
    opened_library.writer.put(NewClip(id="vector", embedding=bundle.mean + 1))
    opened_library.close()

    paths = options(library, new_bundle)
    report = run_json("index", "--reembed", "--drop-others", *paths, code=3)

    assert (report["embedded"], report["dropped"]) == (3, 3)
    result = run("search", "--clip-id", "vector", *options(library, tiny_bundle_path), code=1)
    assert "3 of the 4 clips" in result.stderr


def test_services_on_both_encoders_share_a_library(
    library: Path, tiny_bundle_path: Path, new_bundle: Path
) -> None:
    def search(client: Client) -> list[dict[str, Any]]:
        content = synth.encode(synth.tone(300))
        hits: list[dict[str, Any]] = client.post("/search", content=content).json()["hits"]
        return hits

    def not_embedded(client: Client) -> int:
        return int(client.get("/info").json()["library"]["not_embedded"])

    with serving(tiny_bundle_path, library) as before:
        found = search(before)
        run("index", "--reembed", *options(library, new_bundle))
        assert search(before) == found
        with serving(new_bundle, library) as after:
            assert len(search(after)) == 3
            assert (not_embedded(before), not_embedded(after)) == (0, 0)

            late = before.put("/clips/late", content=synth.encode(synth.noise(1)))

            assert late.status_code == 201
            assert (len(search(before)), len(search(after))) == (4, 3)
            assert not_embedded(after) == 1
            answer = after.post("/search", json={"clip_id": "late"})
            assert (answer.status_code, answer.json()["code"]) == (409, "fingerprint_mismatch")

            run("index", "--reembed", *options(library, new_bundle))
            assert len(search(after)) == 4


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--reembed", "FOLDER"],
        ["--reembed", "--copy"],
        ["FOLDER", "--drop-others"],
    ],
)
def test_an_invalid_combination_is_a_usage_error(
    arguments: list[str], tmp_path: Path, tiny_bundle_path: Path
) -> None:
    given = [tmp_path if argument == "FOLDER" else argument for argument in arguments]

    run("index", *given, *options(tmp_path / "library", tiny_bundle_path), code=2)


def test_a_missing_library_is_not_created(tmp_path: Path, new_bundle: Path) -> None:
    paths = options(tmp_path / "library", new_bundle)

    assert "no library" in run("index", "--reembed", *paths, code=1).stderr
    assert not (tmp_path / "library").exists()


def test_reembedding_continues_after_a_kill(
    tmp_path: Path, tiny_bundle_path: Path, new_bundle: Path
) -> None:
    sounds, library = tmp_path / "sounds", tmp_path / "library"
    write_tones(sounds, N_CLIPS, duration_s=1.0)
    run("index", sounds, *options(library, tiny_bundle_path))
    paths = options(library, new_bundle)
    command = [sys.executable, "-m", "service.cli", "index", "--reembed", *paths]

    with opened(library, tiny_bundle_path) as reading:
        before = reading.page(limit=1000)
        with subprocess.Popen(list(map(str, command))) as process:
            n_left = wait_until_started(library, new_bundle, process)
            process.kill()
        assert process.returncode < 0, "the process ended before it was killed"
        assert reading.page(limit=1000) == before

    assert "index --reembed" in run("search", "--modifier", "low", *paths, code=1).stderr
    report = run_json("index", "--reembed", *paths)
    assert 0 < report["unchanged"] < N_CLIPS
    assert report["embedded"] == N_CLIPS - report["unchanged"] <= n_left
    hits = run_json("search", "--modifier", "low", "-k", 1000, *paths)["hits"]
    assert len(hits) == N_CLIPS


def wait_until_started(library: Path, bundle: Path, process: subprocess.Popen[bytes]) -> int:
    """Wait until a process has embedded some clips; return how many are left."""
    space = make_space(load_bundle(bundle), None)
    found = Library.open(library, space=space, reembedding=True)
    try:
        while process.poll() is None:
            if (n_left := found.reembed_queue.n_lacking()) < N_CLIPS:
                return n_left
            time.sleep(0.002)
    finally:
        found.close()
    raise AssertionError("the process ended before it embedded a clip")
