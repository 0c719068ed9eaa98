"""Windows of the clips that an encoder was trained on, its embeddings, and the teacher's scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float16, Float32
from pydantic import TypeAdapter
from tqdm import tqdm

from service.bundle.files import Bundle, hash_file
from service.concurrency.durable import atomic_write
from service.inference.encoder import Encoder
from training.data.clips import TrainingData
from training.data.store import ClipStore
from training.errors import DatasetError
from training.model.frontend import SAMPLE_RATE
from training.recipe import Recipe
from training.teacher.files import N_CLASSES, TeacherFiles
from training.teacher.yamnet import Yamnet

WINDOW_S = 10.0
BATCH = 16
WINDOWS_FILE, ABOUT_FILE, SCORES_FILE = "windows.jsonl", "about.json", "scores.npy"

Waveforms = list[Float32[np.ndarray, " samples"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A part of a clip.

    Attributes:
        path: The clip's file, as the manifest names it.
        corpus: Its corpus.
        label: Its label in the manifest.
        recording: Its recording.
        start: First sample.
        stop: Sample after the last.
    """

    path: str
    corpus: str
    label: str
    recording: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionSet:
    """Windows, in the order of the rows.

    Attributes:
        windows: The windows.
        embeddings: Raw embeddings, float16 [windows dim].
        scores: The teacher's scores, the mean over patches, float16 [windows 521].
        classes: Names of the teacher's classes.
    """

    windows: list[Window]
    embeddings: Float16[np.ndarray, "windows dim"]
    scores: Float16[np.ndarray, "windows classes"]
    classes: list[str]


def make_captions(data: TrainingData, bundle: Bundle, teacher: TeacherFiles, out: Path) -> None:
    """Cut the clips that a bundle's encoder was trained on into windows, and embed them.

    The clips are those of the recipe in the bundle, without the held-out ones. What is in the
    folder already is not computed again.

    Args:
        data: The manifest, and the cache of decoded audio.
        bundle: Bundle with the encoder.
        teacher: The files of the teacher.
        out: Folder of the set.

    Raises:
        DatasetError: The folder holds windows of other clips.
    """
    recipe = Recipe.model_validate(bundle.manifest.training.recipe)
    store, _ = data.open(recipe)
    rows = [(row, window) for row, clip in enumerate(store.clips) for window in _cut(store, row)]
    windows = [window for _, window in rows]
    out.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(asdict(window)) + "\n" for window in windows)
    path = out / WINDOWS_FILE
    if path.is_file() and path.read_text("utf-8") != text:
        raise DatasetError(f"{out} holds windows of other clips; choose another folder")
    with atomic_write(path) as file:
        file.write(text.encode())

    def read(first: int) -> Waveforms:
        return [_read(store, *row) for row in rows[first : first + BATCH]]

    about = {"manifest_sha256": hash_file(data.path).sha256, "classes": teacher.classes()}
    with atomic_write(out / ABOUT_FILE) as file:
        file.write(json.dumps(about).encode())
    _fill(out / SCORES_FILE, read, len(rows), N_CLASSES, Scorer(teacher))
    fingerprint = bundle.manifest.encoder.fingerprint
    encoder = Encoder.open(bundle)
    _fill(out / f"{fingerprint[:16]}.npy", read, len(rows), encoder.dim, encoder.embed)


def load_captions(folder: Path, fingerprint: str) -> CaptionSet:
    """Read a set; embeddings and scores are memory-mapped.

    Args:
        folder: Folder that ``minuend-train data captions`` wrote.
        fingerprint: Fingerprint of the encoder.

    Raises:
        DatasetError: The set is missing or unfinished, or was not embedded by this encoder.
    """
    embeddings = folder / f"{fingerprint[:16]}.npy"
    if not embeddings.is_file():
        raise DatasetError(f"{folder} holds no embeddings of the encoder {fingerprint[:16]}")
    adapter = TypeAdapter(Window)
    lines = (folder / WINDOWS_FILE).read_bytes().splitlines()
    return CaptionSet(
        windows=[adapter.validate_json(line) for line in lines],
        embeddings=np.load(embeddings, mmap_mode="r"),
        scores=np.load(folder / SCORES_FILE, mmap_mode="r"),
        classes=json.loads((folder / ABOUT_FILE).read_bytes())["classes"],
    )


class Scorer:
    """Scores of the teacher for clips of any length.

    Args:
        teacher: The files of the teacher.
    """

    def __init__(self, teacher: TeacherFiles) -> None:
        self._teacher = Yamnet(teacher)

    @torch.inference_mode()
    def __call__(self, clips: Waveforms) -> Float32[np.ndarray, "clips 521"]:
        """Return the scores of each clip, the mean over its patches."""
        scores = [self._teacher(torch.from_numpy(clip)[None]).scores[0] for clip in clips]
        return torch.stack(scores).numpy()


def _cut(store: ClipStore, row: int) -> Iterator[Window]:
    """Cut a clip into windows of about 10 s, of equal length; a short clip is one window."""
    clip, length = store.clips[row], int(store.lengths[row])
    n = max(round(length / (WINDOW_S * SAMPLE_RATE)), 1)
    for i in range(n):
        yield Window(
            path=clip.name,
            corpus=clip.columns["corpus"],
            label=clip.columns["label"],
            recording=clip.recording,
            start=i * length // n,
            stop=(i + 1) * length // n,
        )


def _read(store: ClipStore, row: int, window: Window) -> Float32[np.ndarray, " samples"]:
    return np.asarray(store.clip(row)[window.start : window.stop], np.float32)


def _fill(
    path: Path,
    read: Callable[[int], Waveforms],
    n_rows: int,
    dim: int,
    compute: Callable[[Waveforms], np.ndarray],
) -> None:
    """Write the results of all windows as float16; do nothing if the file is there."""
    if path.is_file():
        return
    filled = np.zeros((n_rows, dim), np.float16)
    for first in tqdm(range(0, n_rows, BATCH), desc=path.stem, unit="batch"):
        filled[first : first + BATCH] = compute(read(first))
    with atomic_write(path) as file:
        np.save(file, filled)
