from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from service.bundle.files import Bundle
from service.bundle.understanding import CompositionWeights
from training.scenes.load import SceneSet
from training.towers.composition import AWAY, Tasks, ascend, fit_composition
from training.towers.composition_tasks import (
    CHANGES,
    LEVELS,
    CompositionTask,
    make_kind_task,
    make_level_task,
)
from training.towers.evaluation.projector import TowerProjector
from training.towers.run import LoadedTowers
from training.towers.text_cache import TextCache


@pytest.fixture(scope="module")
def projector(loaded: LoadedTowers, cache: TextCache) -> TowerProjector:
    return TowerProjector(loaded.networks, cache)


@pytest.fixture(scope="module")
def tasks(scenes: SceneSet, projector: TowerProjector) -> Tasks:
    return make_level_task(scenes, projector), make_kind_task(scenes, projector)


def removals(n: int, axis: int) -> CompositionTask:
    """Make queries whose wanted clip lies opposite to a sound; others have the sound and a rest."""
    rng = np.random.default_rng(axis)
    eye = np.eye(24, dtype=np.float32)
    rests, sound = eye[rng.permutation(12)[:n]], np.tile(eye[12 + axis], (n, 1))
    sounds = np.zeros((len(CHANGES), n, 24), np.float32)
    sounds[CHANGES.index("remove")] = sound
    nearer = [rests + size * sound for size in np.linspace(0.5, 1.0, 12, dtype=np.float32)]
    items = np.concatenate([rests, *nearer])
    items /= np.linalg.norm(items, axis=1, keepdims=True)
    fulfils = np.zeros((n, len(items)), bool)
    fulfils[np.arange(n), np.arange(n)] = True
    return CompositionTask(
        audio=rests + sound,
        sentences=rng.normal(size=(n, 24)).astype(np.float32),
        sounds=sounds,
        items=items,
        targets=np.full(n, -1),
        fulfils=fulfils,
    )


def test_a_weight_that_finds_the_wanted_clips_is_found() -> None:
    task = removals(8, 0)
    rows = np.arange(8)
    nothing = CompositionWeights(remove=0.0)
    weights = ascend((task, removals(8, 1)), nothing)
    assert weights.remove < 0
    assert task.scores(nothing, rows).mean() < 0.1
    assert task.scores(weights, rows).mean() > 0.9
    assert weights == nothing.model_copy(update={"remove": weights.remove})


def test_scores_are_those_of_a_naive_ranking(tasks: Tasks) -> None:
    weights = CompositionWeights(sentence=0.3)
    for task in tasks:
        rows = np.arange(len(task.audio))
        found = task.scores(weights, rows)
        for row in rows[::7]:
            query = task.audio[row] + 0.3 * task.sentences[row]
            for number, change in enumerate(CHANGES):
                query = query + getattr(weights, change) * task.sounds[number, row]
            first = np.argsort(-(task.items @ query))[:10]
            share = task.fulfils[row, first].sum() / min(10, task.fulfils[row].sum())
            target = int(task.targets[row])
            expected = share if target < 0 else (share + (target in first)) / 2
            assert found[row] == pytest.approx(expected, abs=1e-3)


def test_the_tasks_hold_the_sounds_of_their_changes(scenes: SceneSet, tasks: Tasks) -> None:
    levels, kinds = tasks
    for change in LEVELS:
        assert levels.rows_of(change).size
    for change in ("add", "remove", "instead_of", "only", "quieter", "less"):
        assert kinds.rows_of(change).size
    for task in tasks:
        assert task.fulfils.any(axis=1).all()
        norms = np.linalg.norm(task.sounds, axis=2)
        assert np.all((np.abs(norms - 1) < 1e-3) | (norms == 0))
    clips = [set(pair.target.labels) for pair in scenes.pairs]
    clips += [{row.label} for row in scenes.event_rows]
    for row in kinds.rows_of("only"):
        wanted = [clips[item] for item in np.flatnonzero(kinds.fulfils[row])]
        assert all(len(labels) == 1 and labels == wanted[0] for labels in wanted)


def test_fitted_weights_point_the_right_way(scenes: SceneSet, projector: TowerProjector) -> None:
    fitted = fit_composition(scenes, projector)
    for change in CHANGES:
        weight = getattr(fitted.weights, change)
        assert weight <= 0 if change in AWAY else weight >= 0
    assert {"louder (levels)", "remove (kinds)", "only (kinds)"} <= set(fitted.scores)
    for scores in fitted.scores.values():
        assert scores["queries"] >= 1
        assert all(0 <= scores[name] <= 1 for name in ("audio", "sentence", "sounds"))


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
    assert "remove (kinds)" in content["scores"]
