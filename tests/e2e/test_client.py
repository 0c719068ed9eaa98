"""The client with the real service, and the programs of its README."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import synth
from fenced import blocks
from minuend_client import Client, ProblemError, VectorClip
from server_process import running

pytestmark = pytest.mark.e2e

README = Path(__file__).parents[2] / "client" / "README.md"
SOUNDS = ("rain.wav", "storm.wav", "today.wav", "yesterday.wav", "sounds/a.wav", "sounds/b.wav")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(SOUNDS):
        synth.write(tmp_path / name, synth.noise(seed))
    return tmp_path


def test_every_call_works_with_a_real_service(tiny_bundle_path: Path, folder: Path) -> None:
    with (
        running(tiny_bundle_path, folder / "library") as server,
        Client(f"http://127.0.0.1:{server.port}") as minuend,
    ):
        clip = minuend.add_clip(folder / "rain.wav", metadata={"place": "garden"})
        minuend.add_clip(folder / "storm.wav", clip_id="storm")
        (rain,) = minuend.embed(folder / "rain.wav", window_s=0.4, hop_s=0.2)
        bulk = minuend.add_vectors([VectorClip("vector", rain.embedding, {"made": True})])
        hits = minuend.search(folder / "rain.wav", k=3).hits
        difference = minuend.difference(folder / "today.wav", reference_id="storm", k=2)
        same = minuend.difference(mixture_id="storm", reference_id="storm")
        listed = [c.clip_id for c in minuend.clips()]
        minuend.delete_clip("storm")
        with pytest.raises(ProblemError) as unknown:
            minuend.get_clip("storm")
        filtered = minuend.search(clip_id=clip.clip_id, filter={"made": True}).hits
        limits = minuend.info()["limits"]
        long = minuend.add_clip(synth.write(folder / "long.wav", synth.noise(9, 12.0)))
        places = minuend.search(folder / "rain.wav", every_window=True).hits

    assert len(rain.windows) > 1
    assert np.asarray(rain.embedding).size == len(difference.embedding)
    assert (bulk.created, bulk.updated) == (1, 0)
    assert {hit.clip_id for hit in hits[:2]} == {clip.clip_id, "vector"}
    assert hits[0].score == pytest.approx(1, abs=1e-3)
    assert difference.relative_norm > 0
    assert same.relative_norm == 0
    assert same.hits == ()
    assert listed == [clip.clip_id, "storm", "vector"]
    assert unknown.value.code == "clip_unknown"
    assert [hit.clip_id for hit in filtered] == ["vector"]
    assert limits["max_k"] >= 1
    assert long.windows == 2
    spans = {(hit.start_s, hit.end_s) for hit in places if hit.clip_id == long.clip_id}
    assert spans == {(0.0, 10.0), (5.0, 12.0)}


def readme_programs() -> list[str]:
    return [block.text for block in blocks(README) if block.language == "python"]


@pytest.mark.parametrize("number", range(len(readme_programs())))
def test_the_programs_of_the_readme_run(
    number: int, tiny_bundle_path: Path, folder: Path, tmp_path: Path
) -> None:
    with running(tiny_bundle_path, tmp_path / "library") as server:
        address = f"http://127.0.0.1:{server.port}"
        program = readme_programs()[number].replace("http://127.0.0.1:8000", address)
        program = re.sub(r"(Client)\(\)", rf'\1("{address}")', program)
        program = program.replace(' modifier="with heavier rain",', "")
        ran = subprocess.run(
            [sys.executable, "-c", program],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip()
