from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import tiny_bundle

from service.bundle.files import MANIFEST_FILE, hash_file, load_bundle, write_manifest
from service.bundle.manifest import GEOMETRY, decode_mean, encode_mean
from service.errors import BundleError

VARIANT = {
    "file": "encoder.int8.onnx",
    "precision": "int8",
    "tolerance": 0.01,
    "cpu_speed": 1.5,
    "figures": {},
}


@pytest.fixture
def copy(tiny_bundle_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle_path, tmp_path / "copy"))


def _edit(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    manifest = json.loads((path / MANIFEST_FILE).read_text())
    change(manifest)
    (path / MANIFEST_FILE).write_text(json.dumps(manifest))


def _make_version(version: int, manifest: dict[str, Any]) -> None:
    """Change a manifest of the present version to an older one."""
    manifest["schema_version"] = version
    del manifest["manifest_sha256"]
    if version == 1:
        for name in GEOMETRY:
            del manifest["encoder"][name]


def test_a_complete_bundle_loads(tiny_bundle_path: Path) -> None:
    bundle = load_bundle(tiny_bundle_path)
    assert bundle.manifest.id == "tiny-0"
    assert bundle.mean.shape == (bundle.manifest.encoder.dim,)
    assert bundle.mean.dtype == np.float32
    assert bundle.file(tiny_bundle.ENCODER_FILE) == tiny_bundle_path / tiny_bundle.ENCODER_FILE


def test_a_variant_runs_another_graph_within_its_own_tolerance(copy: Path) -> None:
    tiny_bundle.add_variant(copy, "int8", cpu_speed=2.0, tolerance=0.02)
    plain = load_bundle(copy)
    assert (plain.encoder_file.name, plain.precision) == (tiny_bundle.ENCODER_FILE, "float32")
    assert plain.tolerance == plain.manifest.known_answer.tolerance
    chosen = replace(plain, variant=plain.manifest.encoder.variants[0])
    assert (chosen.encoder_file.name, chosen.precision) == ("encoder.int8.onnx", "int8")
    assert chosen.tolerance == 0.02


def test_writing_a_manifest_again_changes_nothing(copy: Path) -> None:
    before = (copy / MANIFEST_FILE).read_bytes()
    write_manifest(copy, load_bundle(copy).manifest)
    assert (copy / MANIFEST_FILE).read_bytes() == before
    assert not list(copy.glob("*.tmp"))


@pytest.mark.parametrize("version", [1, 2])
def test_a_bundle_of_an_older_version_is_read_with_a_warning(
    copy: Path, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Version 1 has a fixed geometry of the encoder; neither has a hash of the manifest."""
    present = load_bundle(copy).manifest
    assert caplog.records == []
    _edit(copy, partial(_make_version, version))

    old = load_bundle(copy).manifest
    assert old.encoder == present.encoder
    assert f"has format {version}, in which damage" in caplog.text
    write_manifest(copy, old)
    assert load_bundle(copy).manifest == present


def test_no_flipped_bit_of_the_manifest_is_accepted(copy: Path) -> None:
    """Also where it still is a valid manifest, but of other values or of an older version."""
    path = copy / MANIFEST_FILE
    whole = path.read_bytes()
    random = Random(10)
    version = whole.index(b'"schema_version": 3') + len(b'"schema_version": ')
    places = [random.randrange(8 * len(whole)) for _ in range(400)]
    places += [8 * version + bit for bit in range(8)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(BundleError, match=MANIFEST_FILE):
            load_bundle(copy)
    path.write_bytes(whole)
    load_bundle(copy)


def test_other_values_are_refused_even_if_they_are_allowed(copy: Path) -> None:
    _edit(copy, lambda m: m["difference"].update(reference_weight=0.75))
    with pytest.raises(BundleError, match=r"bundle\.json is damaged or was changed: without its"):
        load_bundle(copy)


def test_a_manifest_that_lost_its_hash_is_refused(copy: Path) -> None:
    _edit(copy, lambda m: m.pop("manifest_sha256"))
    with pytest.raises(BundleError, match="it has no manifest_sha256"):
        load_bundle(copy)


def test_the_hash_of_a_manifest_is_of_its_bytes_without_the_hash(copy: Path) -> None:
    """As `sed '2s/[0-9a-f]{64}//' bundle.json | sha256sum` computes it."""
    first, line, *others = (copy / MANIFEST_FILE).read_bytes().splitlines(keepends=True)
    digest = hashlib.sha256(b"".join([first, re.sub(b"[0-9a-f]{64}", b"", line), *others]))
    assert json.loads(b"{" + line.strip(b" ,\n") + b"}") == {"manifest_sha256": digest.hexdigest()}


@pytest.mark.parametrize("name", [tiny_bundle.ENCODER_FILE, tiny_bundle.KNOWN_ANSWER_FILE])
@pytest.mark.parametrize("place", [0.0, 0.5, 0.999])
def test_one_flipped_bit_names_the_file(copy: Path, name: str, place: float) -> None:
    data = bytearray((copy / name).read_bytes())
    data[int(len(data) * place)] ^= 1
    (copy / name).write_bytes(data)
    with pytest.raises(BundleError, match=f"{name} is damaged or was changed"):
        load_bundle(copy)


def test_a_file_of_another_size_names_the_file(copy: Path) -> None:
    with (copy / tiny_bundle.ENCODER_FILE).open("ab") as file:
        file.write(b"\0")
    with pytest.raises(BundleError, match=r"encoder\.onnx has \d+ bytes, the manifest says \d+"):
        load_bundle(copy)


def test_a_missing_file_is_named(copy: Path) -> None:
    (copy / tiny_bundle.ENCODER_FILE).unlink()
    with pytest.raises(BundleError, match=r"encoder\.onnx cannot be read: No such file"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_directory_without_a_manifest_is_no_bundle(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match=r"is no bundle: bundle\.json: No such file"):
        load_bundle(tmp_path / name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema_version": 1}'])
def test_an_invalid_manifest_is_refused(copy: Path, text: str) -> None:
    (copy / MANIFEST_FILE).write_text(text)
    with pytest.raises(BundleError, match=MANIFEST_FILE):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(schema_version=4), "schema_version: Input should be 1, 2 or 3"),
        (lambda m: m["encoder"].pop("pooling"), "encoder must have pooling"),
        (lambda m: m["encoder"].update(frame_stride=7), "multiple of frame_stride"),
        (lambda m: m.update(colour="red"), "colour: Extra inputs are not permitted"),
        (lambda m: m["encoder"].update(precision="int8"), r"encoder\.precision"),
        (lambda m: m["encoder"].update(dim=9), r"difference\.mean must hold encoder\.dim values"),
        (lambda m: m["encoder"].update(frame_rate_hz=50), "frame_rate_hz"),
        (lambda m: m["encoder"].update(file="other.onnx"), r"other\.onnx is used but not listed"),
        (
            lambda m: m["encoder"].update(variants=[VARIANT]),
            r"encoder\.int8\.onnx is used but not listed",
        ),
        (lambda m: m["encoder"].update(variants=[VARIANT] * 2), "one variant of each precision"),
        (
            lambda m: m["encoder"].update(variants=[VARIANT | {"precision": "int4"}]),
            r"variants\.0\.precision",
        ),
        (lambda m: m["difference"].update(mean="####"), r"difference\.mean"),
        (lambda m: m["difference"].update(mean=encode_mean(np.full(8, np.nan))), "finite"),
        (lambda m: m["difference"].update(reference_weight=1.5), "reference_weight"),
        (lambda m: m["files"].update({"../../etc/passwd": m["files"]["encoder.onnx"]}), "files"),
    ],
)
def test_a_wrong_entry_is_named(
    copy: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    _edit(copy, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(copy)


def test_all_faults_are_reported_at_once(copy: Path) -> None:
    _edit(copy, lambda m: (m.pop("licence"), m["encoder"].pop("dim"), m.pop("id")))
    with pytest.raises(BundleError) as caught:
        load_bundle(copy)
    assert all(name in str(caught.value) for name in ("licence", "encoder.dim", "id"))


def test_decoding_reverses_the_encoding_of_a_mean() -> None:
    mean = np.array([0.1, -2.5e-30, 3e30], np.float32)
    assert np.array_equal(decode_mean(encode_mean(mean)), mean)


def test_a_file_is_measured_by_size_and_sha256(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"minuend" * 100_000)
    entry = hash_file(path)
    assert entry.size_bytes == 700_000
    assert entry.sha256 == hashlib.sha256(b"minuend" * 100_000).hexdigest()
