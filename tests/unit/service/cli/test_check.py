from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import tiny_bundle
import tiny_change
import tiny_towers
from shell import run, run_json

from service.bundle import files as bundle
from service.bundle.manifest import BundleManifest


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tiny_bundle.write(tmp_path / "bundle")


def test_a_valid_bundle_passes_and_its_checks_are_listed(path: Path) -> None:
    output = run("check", path).stdout

    assert output.startswith("bundle tiny-0 ")
    for name in (tiny_bundle.ENCODER_FILE, tiny_bundle.KNOWN_ANSWER_FILE):
        assert bundle.hash_file(path / name).sha256 in output
    assert "embedding [batch, 8]" in output
    assert "known answer" in output


def test_the_json_has_files_encoders_and_fingerprints(path: Path) -> None:
    result = run_json("check", path)

    assert result["bundle"] == "tiny-0"
    sha256 = bundle.hash_file(path / tiny_bundle.ENCODER_FILE).sha256
    assert result["files"][tiny_bundle.ENCODER_FILE]["sha256"] == sha256
    assert [encoder["precision"] for encoder in result["encoders"]] == ["float32"]
    assert result["fingerprints"]["towers"] is None


def test_the_bundle_of_the_settings_is_checked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUEND_BUNDLE", str(path))

    assert "bundle tiny-0 " in run("check").stdout


def test_one_flipped_bit_is_an_error_with_the_name_of_the_file(path: Path) -> None:
    tiny_bundle.flip_bit(path / tiny_bundle.ENCODER_FILE)

    (line,) = run("check", path, code=1).stderr.splitlines()

    assert tiny_bundle.ENCODER_FILE in line
    assert "sha256" in line


def test_an_output_that_differs_from_the_known_answer_fails(path: Path) -> None:
    file = tiny_bundle.KNOWN_ANSWER_FILE
    tiny_bundle.change_array(path, file, "embedding", lambda embedding: embedding * 1.01)

    assert "deviates" in run("check", path, code=1).stderr


def test_every_variant_is_checked(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=2.0)
    output = run("check", path).stdout
    assert "ok  encoder.int8.onnx: waveform" in output
    assert "the known answer in int8, within 0.001" in output


def test_a_variant_with_another_output_fails(path: Path) -> None:
    tiny_bundle.add_variant(path, "int8", cpu_speed=2.0, gain=1.01)
    assert "answer of encoder.int8.onnx" in run("check", path, code=1).stderr


def test_a_folder_without_a_bundle_fails(tmp_path: Path) -> None:
    assert "is no bundle" in run("check", tmp_path, code=1).stderr


@pytest.fixture
def towers(tmp_path: Path) -> Path:
    return tiny_bundle.write(tmp_path / "towers", towers=0)


def test_towers_are_checked_and_listed(towers: Path) -> None:
    output = run("check", towers).stdout

    manifest = BundleManifest.model_validate_json((towers / "bundle.json").read_bytes())
    assert manifest.towers is not None
    for name in manifest.towers.files:
        assert f"ok  {name}: {(towers / name).stat().st_size} bytes" in output
    assert "embedding [batch, 8] to vector [batch, 12]" in output
    assert "input_ids and attention_mask [batch, tokens] to vector [batch, 12]" in output
    assert "texts of up to 8 tokens" in output
    assert "5 phrases" in output
    assert output.endswith(f"towers  {manifest.towers.fingerprint}\n")


@pytest.mark.parametrize(
    ("file", "old"),
    [
        (tiny_bundle.ENCODER_FILE, "maxima"),
        (tiny_towers.AUDIO_TOWER_FILE, "vector"),
        (tiny_towers.TEXT_ENCODER_FILE, "input_ids"),
    ],
)
def test_a_graph_with_other_names_fails(towers: Path, file: str, old: str) -> None:
    model, new = onnx.load(towers / file), "renamed"
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    onnx.save(model, towers / file)
    tiny_bundle.relist(towers)

    assert f"{old} is missing" in run("check", towers, code=1).stderr


def test_a_vector_that_differs_from_the_known_answer_fails(towers: Path) -> None:
    file = tiny_towers.KNOWN_ANSWER_FILE
    tiny_bundle.change_array(towers, file, "text_vector", lambda vector: vector * 1.01)

    assert "the text vector of the known answer" in run("check", towers, code=1).stderr


def test_a_change_detector_is_checked(path: Path, tmp_path: Path) -> None:
    calibrated = tiny_change.copy_with_detector(path, tmp_path / "calibrated")

    assert f"ok  {tiny_change.FILE}: whether something was added" in run("check", calibrated).stdout

    tiny_bundle.change_array(calibrated, tiny_change.FILE, "known_score", lambda _: 99.0)
    assert "not 99 as stored" in run("check", calibrated, code=1).stderr
