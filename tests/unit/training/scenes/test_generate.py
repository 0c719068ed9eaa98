from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import synth
import tiny_bundle
import tiny_scene

from service.bundle.files import load_bundle, write_manifest
from service.inference.encoder import Encoder
from training.errors import DatasetError
from training.scenes.draw import draw_pairs
from training.scenes.generate import SceneRendering, embed_set, generate, open_scene_encoder
from training.scenes.load import EventRow
from training.scenes.pair import Pair
from training.scenes.recipe import load_scene
from training.scenes.render import StoredSources, render_pair

N_PAIRS = 9
# Half precision keeps eleven bits.
HALF_PRECISION = 2.0**-10


@dataclass
class Renderer:
    """Renders short clips instead of a pair, and may fail at one of the pairs."""

    fails_at: int | None = None

    def __call__(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        if pair.index == self.fails_at:
            raise KeyboardInterrupt
        return synth.tone(300.0 + 50 * pair.index), synth.noise(pair.index)


def rendering(pairs: list[Pair], renderer: Renderer) -> SceneRendering:
    events = [EventRow(path=f"e{i}.wav", label="dog", fold=5) for i in range(10)]
    return SceneRendering(
        pairs=pairs,
        events=events,
        render_pair=renderer,
        render_event=lambda event: synth.tone(200.0 + 70 * events.index(event)),
    )


def contents(folder: Path) -> dict[str, str]:
    """Hash the files of a set that do not depend on the time it took."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("about.json", "state.json")
    }


@pytest.fixture(scope="module")
def pairs(corpus: Path) -> list[Pair]:
    return draw_pairs(tiny_scene.pool(corpus), tiny_scene.plan(N_PAIRS))


@pytest.fixture(scope="module")
def encoder(tiny_bundle_path: Path) -> Encoder:
    return open_scene_encoder(tiny_bundle_path)


def test_every_clip_of_every_pair_is_embedded(
    pairs: list[Pair], encoder: Encoder, tmp_path: Path
) -> None:
    whole = rendering(pairs, Renderer())
    embed_set(whole, [encoder], tmp_path, {"seed": 0})
    folder = tmp_path / encoder.fingerprint[:16]
    query, target, events = (
        np.load(folder / f"{name}.npy") for name in ("query", "target", "events")
    )
    rendered = [Renderer()(pair) for pair in pairs]
    for found, clips in (
        (query, [q for q, _ in rendered]),
        (target, [t for _, t in rendered]),
        (events, [whole.render_event(event) for event in whole.events]),
    ):
        assert np.allclose(found, encoder.embed(clips), rtol=HALF_PRECISION, atol=1e-3)
    about = json.loads((tmp_path / "about.json").read_bytes())
    assert set(about["seconds_per_pair"][folder.name]) == {"rendering", "encoding", "elapsed"}
    assert about["commit"]
    assert json.loads((folder / "state.json").read_bytes())["done"] == N_PAIRS


@pytest.mark.parametrize("fails_at", [0, 3, 8])
def test_a_stopped_run_continues_and_gives_the_same_bytes(
    pairs: list[Pair],
    encoder: Encoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fails_at: int,
) -> None:
    monkeypatch.setattr("training.scenes.generate.SAVE_EVERY_S", 0.0)
    embed_set(rendering(pairs, Renderer()), [encoder], tmp_path / "whole", {"seed": 0})
    stopped = tmp_path / "stopped"
    with pytest.raises(KeyboardInterrupt):
        embed_set(rendering(pairs, Renderer(fails_at)), [encoder], stopped, {"seed": 0})
    folder = stopped / encoder.fingerprint[:16]
    done = json.loads((folder / "state.json").read_bytes())["done"]
    assert done == fails_at // 2 * 2
    # Embeddings that were written, but not recorded, before the process was killed.
    query = np.lib.format.open_memmap(folder / "query.npy", mode="r+")
    query[done:] = 7
    query.flush()
    embed_set(rendering(pairs, Renderer()), [encoder], stopped, {"seed": 0})
    assert contents(stopped) == contents(tmp_path / "whole")


def test_an_extended_set_is_the_same_as_one_made_at_once(
    pairs: list[Pair], encoder: Encoder, tmp_path: Path
) -> None:
    for n_pairs in (3, N_PAIRS):
        about: dict[str, object] = {"n_pairs": n_pairs}
        embed_set(rendering(pairs[:n_pairs], Renderer()), [encoder], tmp_path / "grown", about)
    embed_set(rendering(pairs, Renderer()), [encoder], tmp_path / "whole", about)
    assert contents(tmp_path / "grown") == contents(tmp_path / "whole")


def test_encoders_that_share_a_rendering_embed_as_they_do_alone(
    pairs: list[Pair], encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where one of them has embedded more than the other."""
    monkeypatch.setattr("training.scenes.generate.SAVE_EVERY_S", 0.0)
    other = open_scene_encoder(tiny_bundle.write(tmp_path / "other", seed=1))
    for each in (encoder, other):
        embed_set(rendering(pairs, Renderer()), [each], tmp_path / "apart", {"seed": 0})
    together = tmp_path / "together"
    with pytest.raises(KeyboardInterrupt):
        embed_set(rendering(pairs, Renderer(4)), [encoder], together, {"seed": 0})
    embed_set(rendering(pairs, Renderer()), [encoder, other], together, {"seed": 0})
    assert contents(together) == contents(tmp_path / "apart")


def test_a_set_depends_on_the_data_and_the_plan_only(
    corpus: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    plan = tiny_scene.plan(3)
    for name in ("one", "two"):
        generate(
            corpus,
            load_scene("rain"),
            plan,
            [tiny_bundle_path],
            tmp_path / name,
            tmp_path / "cache",
        )
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    about = json.loads((tmp_path / "one" / "about.json").read_bytes())
    assert (about["scene"], about["side"], about["seed"], about["n_pairs"]) == (
        "rain",
        "test",
        0,
        3,
    )
    assert about["permissive"] is False
    assert about["manifest_sha256"] == hashlib.sha256(corpus.read_bytes()).hexdigest()
    sources = StoredSources.of(tiny_scene.store(corpus))
    encoder = open_scene_encoder(tiny_bundle_path)
    pair = draw_pairs(tiny_scene.pool(corpus), plan)[2]
    found = [
        np.load(tmp_path / "one" / encoder.fingerprint[:16] / f"{name}.npy")[2]
        for name in ("query", "target")
    ]
    expected = encoder.embed(render_pair(pair, sources))
    assert np.allclose(found, expected, rtol=HALF_PRECISION, atol=1e-3)


def test_a_folder_of_audio_is_no_manifest(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="is no manifest"):
        generate(
            tmp_path,
            load_scene("rain"),
            tiny_scene.plan(1),
            [tiny_bundle_path],
            tmp_path / "x",
            tmp_path / "cache",
        )


def test_an_encoder_of_another_rate_is_refused(tmp_path: Path) -> None:
    path = tiny_bundle.write(tmp_path / "slow")
    manifest = load_bundle(path).manifest
    slow = manifest.encoder.model_copy(update={"sample_rate_hz": 8000, "frame_rate_hz": 12.5})
    write_manifest(path, manifest.model_copy(update={"encoder": slow}))
    with pytest.raises(DatasetError, match="takes 8000 Hz; scenes have 16000 Hz"):
        open_scene_encoder(path)
