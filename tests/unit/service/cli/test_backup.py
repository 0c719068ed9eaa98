from __future__ import annotations

import hashlib
from pathlib import Path

from shell import records, run, run_json, write_tones


def test_a_backup_is_written_and_restored(tiny_bundle_path: Path, tmp_path: Path) -> None:
    write_tones(tmp_path / "sounds", 3)
    library, file = tmp_path / "library", tmp_path / "minuend.tar"
    bundle = ("--bundle", tiny_bundle_path)
    run("index", tmp_path / "sounds", "--copy", "--library", library, *bundle)

    summary = run_json("backup", file, "--library", library)
    assert summary["audio_files"] == 3
    assert summary["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert "restored" in run("restore", file, "--library", tmp_path / "new").stdout
    assert records(tmp_path / "new", tiny_bundle_path) == records(library, tiny_bundle_path)
    assert "holds a library" in run("restore", file, "--library", library, code=1).output
