"""Workloads of files outside a library: API keys, the manifest of a bundle, a replaced folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from powercut.workload import Action, Outcome, Workload, nothing

from service.api.keys import Key, read_keys, write_keys
from service.bundle.files import load_bundle, write_manifest
from service.concurrency.durable import staged_folder
from service.errors import BundleError, KeysError


def _add_keys(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    path = folder / "keys.txt"
    for number in range(n_steps):

        def add(number: int = number) -> None:
            keys = read_keys(path) if path.exists() else ()
            write_keys(path, [*keys, _key(number)])

        yield add


def _check_keys(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    path = folder / "keys.txt"
    try:
        found = read_keys(path) if path.exists() else ()
    except KeysError as error:
        return [f"refused: {error}"]
    names = {key.name for key in found}
    for number, outcome in enumerate(outcomes):
        if outcome == "done" and f"key{number}" not in names:
            return [f"lost: key{number}"]
    return [] if set(found) <= {_key(n) for n in range(len(outcomes))} else [f"wrong: {found}"]


def _key(number: int) -> Key:
    return Key(f"key{number}", "read", f"{number:064x}")


def _prepare_bundle(folder: Path, seed: int) -> None:
    import tiny_bundle  # needs onnx, which the recorded process does without

    tiny_bundle.write(folder / "bundle", seed=seed)


def _write_manifests(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    def write(number: int) -> None:
        manifest = load_bundle(folder / "bundle").manifest
        scored = manifest.model_copy(update={"scores": {"r_at_1": _score(number)}})
        write_manifest(folder / "bundle", scored)

    for number in range(n_steps):
        yield lambda number=number: write(number)


def _check_manifest(
    folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]
) -> list[str]:
    try:
        score = load_bundle(folder / "bundle").manifest.scores["r_at_1"]
    except BundleError as error:
        return [f"refused: {error}"]
    numbers = _possible(outcomes)
    return [] if score in [_score(number) for number in numbers] else [f"lost: score {score}"]


def _score(number: int) -> float:
    return 0.5 if number < 0 else number / 1000


def _replace_folders(folder: Path, seed: int, n_steps: int) -> Iterator[Action]:
    def write(number: int) -> None:
        with staged_folder(folder / "target", replace=True) as temporary:
            (temporary / "below").mkdir()
            for name in _FILES:
                (temporary / name).write_bytes(f"{number}".encode())

    for number in range(n_steps):
        yield lambda number=number: write(number)


def _check_folder(folder: Path, seed: int, n_steps: int, outcomes: Sequence[Outcome]) -> list[str]:
    """Check that the folder is complete, or that a complete one stands beside it."""
    possible = [str(number).encode() for number in _possible(outcomes)]
    target = folder / "target"
    if target.exists():
        return [] if _content(target) in possible else [f"torn or lost: {_content(target)!r}"]
    beside = [_content(path) for path in folder.iterdir()]
    is_there = -1 in _possible(outcomes) or any(content in possible for content in beside)
    return [] if is_there else [f"lost: {beside}, not {possible}"]


def _content(folder: Path) -> bytes | None:
    """Return what each of the files holds; None if one differs or is missing."""
    paths = [folder / name for name in _FILES]
    contents = {path.read_bytes() if path.is_file() else None for path in paths}
    return contents.pop() if len(contents) == 1 else None


def _possible(outcomes: Sequence[Outcome]) -> list[int]:
    """Return the steps that may have been the last to take effect; -1 is none."""
    done = [number for number, outcome in enumerate(outcomes) if outcome == "done"]
    return list(range(done[-1] if done else -1, len(outcomes)))


_FILES = ("a", "below/b")

KEYS = Workload(nothing, _add_keys, _check_keys)
MANIFEST = Workload(_prepare_bundle, _write_manifests, _check_manifest)
FOLDER = Workload(nothing, _replace_folders, _check_folder)
