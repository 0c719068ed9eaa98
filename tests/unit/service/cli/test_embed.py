from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import synth
from shell import run, run_json, write_tones

from service.bundle.files import load_bundle
from service.inference.encoder import Encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tones(tmp_path / "sounds", 3)
    return tmp_path / "sounds"


def test_an_npz_has_the_output_of_the_encoder(
    folder: Path, tmp_path: Path, tiny_bundle_path: Path
) -> None:
    out = tmp_path / "x.npz"

    run("embed", folder, "--out", out, "--bundle", tiny_bundle_path)

    bundle = load_bundle(tiny_bundle_path)
    expected = Encoder.open(bundle, device="cpu").embed(
        [synth.tone(100 + 23 * n, 0.3) for n in range(3)]
    )
    with np.load(out) as stored:
        assert stored["names"].tolist() == [str(folder / f"00{n}.wav") for n in range(3)]
        np.testing.assert_allclose(stored["embeddings"], expected, atol=1e-3)
        assert str(stored["fingerprint"]) == bundle.manifest.encoder.fingerprint


def test_a_file_that_is_given_twice_is_embedded_once(
    folder: Path, tmp_path: Path, tiny_bundle_path: Path
) -> None:
    out = tmp_path / "x.npz"
    paths = [folder / "002.wav", folder]

    assert run_json("embed", *paths, "--out", out, "--bundle", tiny_bundle_path)["embedded"] == 3

    with np.load(out) as stored:
        assert [Path(name).name for name in stored["names"]] == ["002.wav", "000.wav", "001.wav"]


def test_unreadable_files_are_listed_and_the_others_are_written(
    folder: Path, tmp_path: Path, tiny_bundle_path: Path
) -> None:
    out = tmp_path / "x.npz"
    (folder / "words.wav").write_bytes(b"words, not waves " * 8)
    missing = tmp_path / "missing.wav"
    arguments = ["embed", folder, missing, "--out", out, "--bundle", tiny_bundle_path]

    result = run(*arguments, code=3)

    assert "3 embeddings of 8 values" in result.stdout
    assert f"{folder / 'words.wav'}: the first bytes" in result.stderr
    assert f"{missing}: No such file" in result.stderr
    with np.load(out) as stored:
        assert stored["embeddings"].shape == (3, 8)
    codes = [item["code"] for item in run_json(*arguments, code=3)["unreadable"]]
    assert codes == ["audio_undecodable", "file_unreadable"]


@pytest.mark.parametrize("name", ["x.csv", "x", "missing/x.npz"])
def test_an_invalid_output_path_is_a_usage_error(name: str, folder: Path, tmp_path: Path) -> None:
    assert "--out" in run("embed", folder, "--out", tmp_path / name, code=2).stderr


def test_parquet_without_pyarrow_names_the_extra(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: None if name == "pyarrow" else find_spec(name, *rest),
    )

    result = run("embed", folder, "--out", tmp_path / "x.parquet", code=1)

    assert "the extra `parquet`" in result.stderr
