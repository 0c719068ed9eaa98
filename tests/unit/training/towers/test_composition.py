from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import Bundle
from service.bundle.understanding import CompositionWeights
from training.scenes.load import SceneSet
from training.towers import composition
from training.towers.composition import AWAY, CompositionTask, fit_composition, make_tasks
from training.towers.evaluation.projector import TowerProjector
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache


@pytest.fixture(scope="module")
def projector(loaded: LoadedTowers, cache: TextCache) -> TowerProjector:
    return TowerProjector(loaded.networks, cache)


def test_a_weight_that_finds_all_targets_is_found() -> None:
    """Sounds are axes; the target of a removal is the query without this axis."""
    n, dim = 12, 16
    rng = np.random.default_rng(0)
    rests = np.eye(dim, dtype=np.float32)[rng.permutation(8)[np.arange(n) % 8]]
    axis = np.eye(dim, dtype=np.float32)[8 + np.arange(n) % 4]
    sounds = np.zeros((len(composition._CHANGES), n, dim), np.float32)
    sounds[composition._CHANGES.index("remove")] = axis
    wanted = np.arange(n)
    # The first clips are wanted; as many have the sound, and ten more than the hits that count.
    items = np.concatenate([rests, *[rests + axis] * 3])
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    fulfils = (items @ axis.T).T < 0.1
    task = CompositionTask(
        audio=rests + axis,
        sentences=rng.normal(size=(n, dim)).astype(np.float32),
        sounds=sounds,
        changes=composition._CHANGES,
        items=items,
        targets=wanted,
        fulfils=fulfils,
    )
    weights = composition._ascend(task, CompositionWeights(remove=0.0))
    before = task.scores(CompositionWeights(remove=0.0), task.all_rows).mean()
    after = task.scores(weights, task.all_rows).mean()
    assert weights.remove < 0
    assert after > before + 0.1


def test_the_tasks_hold_the_sounds_of_the_changes(
    scenes: SceneSet, projector: TowerProjector
) -> None:
    requests, only = make_tasks(scenes, projector)
    for kind in ("add", "remove", "louder", "quieter", "more", "less"):
        rows = requests.rows_of(kind)
        asked = [
            row for row, pair in enumerate(scenes.pairs) if kind in {c.kind for c in pair.changes}
        ]
        assert set(asked) <= set(requests.targets[rows].tolist())
    assert only.fulfils.any(axis=1).all()
    assert (only.targets == -1).all()
    norms = np.linalg.norm(requests.sounds, axis=2)
    assert np.all((np.abs(norms - 1) < 1e-3) | (norms == 0))


def test_fitted_weights_point_the_right_way_and_do_no_harm(
    scenes: SceneSet, projector: TowerProjector
) -> None:
    fitted = fit_composition(scenes, projector)
    for change in ("add", "remove", "louder", "quieter", "more", "less", "only"):
        weight = getattr(fitted.weights, change)
        assert weight <= 0 if change in AWAY else weight >= 0
        assert fitted.scores[change]["sounds"] >= 0
    requests, _ = make_tasks(scenes, projector)
    rows = requests.all_rows
    started = requests.scores(CompositionWeights(), rows).mean()
    assert requests.scores(fitted.weights, rows).mean() >= started - 0.02


def test_the_command_writes_weights_that_export_reads(
    *,
    checkpoint: Path,
    scene_folder: Path,
    bundle: Bundle,
    cache: TextCache,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from click.testing import CliRunner

    from training.cli.understanding import composition as command

    monkeypatch.setattr("training.towers.text_cache.TextCache", lambda *_: cache)
    out = tmp_path / "weights.json"
    arguments = [str(checkpoint), "--scenes", str(scene_folder), "--bundle", str(bundle.path)]
    result = CliRunner().invoke(command, [*arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    content = json.loads(out.read_text())
    CompositionWeights.model_validate(content["weights"])
    assert set(content["scores"]) >= {"add", "remove"}
