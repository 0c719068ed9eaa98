from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiny_bundle
import tiny_excerpts
import tiny_run

from service.bundle.files import Bundle, load_bundle
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.teacher.files import find_teacher
from training.towers.captions.windows import CaptionSet, Scorer, load_captions, make_captions

RECIPE = tiny_run.recipe(data={"exclude": {"fold": "5"}, "held_out": 0.2})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = tmp_path_factory.mktemp("corpus")
    return TrainingData(tiny_excerpts.write(folder), folder / "cache")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle whose recipe leaves out the clips of fold 5 and holds out a fifth."""
    written = load_bundle(tiny_bundle.write(tmp_path_factory.mktemp("captions") / "tiny"))
    training = written.manifest.training.model_copy(update={"recipe": RECIPE.to_dict()})
    return Bundle(written.path, written.manifest.model_copy(update={"training": training}))


@pytest.fixture(scope="module")
def folder(data: TrainingData, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("windows")
    make_captions(data, bundle, find_teacher(), out)
    return out


@pytest.fixture(scope="module")
def made(folder: Path, bundle: Bundle) -> CaptionSet:
    return load_captions(folder, bundle.manifest.encoder.fingerprint)


def test_the_windows_are_those_of_the_clips_that_the_encoder_was_trained_on(
    made: CaptionSet, data: TrainingData
) -> None:
    trained, held_out = data.open(RECIPE)
    assert {window.path for window in made.windows} == {clip.name for clip in trained.clips}
    assert not {window.path for window in made.windows} & {clip.name for clip in held_out.clips}


def test_windows_cover_their_clip_and_are_about_ten_seconds_long(
    made: CaptionSet, data: TrainingData
) -> None:
    trained, _ = data.open(RECIPE)
    for row, clip in enumerate(trained.clips):
        windows = [window for window in made.windows if window.path == clip.name]
        length = int(trained.lengths[row])
        assert (windows[0].start, windows[-1].stop) == (0, length)
        assert all(a.stop == b.start for a, b in pairwise(windows))
        if length > 10 * SAMPLE_RATE:
            durations = [(window.stop - window.start) / SAMPLE_RATE for window in windows]
            assert all(6.5 < duration <= 15 for duration in durations)


def test_rows_are_the_embedding_and_the_scores_of_the_window(
    made: CaptionSet, data: TrainingData, bundle: Bundle
) -> None:
    trained, _ = data.open(RECIPE)
    row = len(made.windows) - 1
    window = made.windows[row]
    (clip_row,) = (i for i, clip in enumerate(trained.clips) if clip.name == window.path)
    samples = np.asarray(trained.clip(clip_row)[window.start : window.stop], np.float32)
    embedding = Encoder.open(bundle).embed([samples])[0]
    scores = Scorer(find_teacher())([samples])[0]
    assert made.embeddings[row] == pytest.approx(embedding, rel=2e-3, abs=2e-3)
    assert made.scores[row] == pytest.approx(scores, abs=2e-3)
    assert made.classes == find_teacher().classes()


def test_windows_of_other_clips_are_not_written_over(folder: Path, bundle: Bundle) -> None:
    other = folder.parent / "other"
    data = TrainingData(tiny_excerpts.write(other), other / "cache")
    training = bundle.manifest.training.model_copy(update={"recipe": tiny_run.recipe().to_dict()})
    whole = Bundle(bundle.path, bundle.manifest.model_copy(update={"training": training}))
    with pytest.raises(DatasetError, match="windows of other clips"):
        make_captions(data, whole, find_teacher(), folder)


def test_embeddings_of_another_encoder_are_missed(folder: Path) -> None:
    with pytest.raises(DatasetError, match="no embeddings of the encoder"):
        load_captions(folder, "0" * 64)
