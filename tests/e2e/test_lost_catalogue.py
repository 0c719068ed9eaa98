"""Starts of the real server at a wrong moment: no sound is deleted, and all come back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import server_process
import synth
from server_process import Server, running
from shell import run, run_json

from service.catalog.sqlite_version import has_wal_reset_bug

pytestmark = pytest.mark.e2e

SOUNDS = {f"c{n}": synth.encode(synth.tone(200 + 100 * n)) for n in range(6)}


def put(server: Server, names: list[str]) -> None:
    for name in names:
        response = server.client.put(f"/clips/{name}", files={"audio": SOUNDS[name]})
        assert response.status_code == 201


def refusal(bundle: Path, library: Path, **settings: object) -> str:
    """Start a server that must not start, and return its last line."""
    process = server_process.start(bundle=bundle, library=library, **settings)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in log
    return log.splitlines()[-1]


def digests(library: Path) -> set[str]:
    """Return the digests of all sounds in a library."""
    files = library.rglob("*.wav")
    return {hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


ALL = {hashlib.sha256(content).hexdigest() for content in SOUNDS.values()}


def test_a_catalogue_that_is_not_there_stops_the_start_and_adoption_finds_all_sounds(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    with running(tiny_bundle_path, library) as server:
        put(server, list(SOUNDS))
        assert server.stop() == 0
    (library / "catalog.sqlite").unlink()

    assert "minuend adopt" in refusal(tiny_bundle_path, library)
    assert digests(library) == ALL

    report = run_json("adopt", "--library", library, "--bundle", tiny_bundle_path)
    assert report["adopted"] == len(SOUNDS)
    with running(tiny_bundle_path, library) as server:
        for content in SOUNDS.values():
            (hit,) = server.client.post("/search?k=1", files={"audio": content}).json()["hits"]
            clip_id = hashlib.sha256(content).hexdigest()[:32]
            assert hit["clip_id"] == clip_id
            assert server.client.get(f"/clips/{clip_id}/audio").content == content


def test_an_older_catalogue_that_was_put_back_deletes_nothing(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    library = tmp_path / "library"
    names = list(SOUNDS)
    with running(tiny_bundle_path, library) as server:
        put(server, names[:2])
        assert server.stop() == 0
    older = (library / "catalog.sqlite").read_bytes()
    with running(tiny_bundle_path, library) as server:
        put(server, names[2:])
        assert server.stop() == 0
    (library / "catalog.sqlite").write_bytes(older)

    with running(tiny_bundle_path, library) as server:
        assert len(server.client.get("/clips").json()["clips"]) == 2
    assert digests(library) == ALL
    report = run_json("adopt", "--library", library, "--bundle", tiny_bundle_path)
    assert (report["adopted"], report["clips"]) == (len(SOUNDS) - 2, len(SOUNDS))


def test_no_library_is_made_where_none_is_to_be_made(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """The volume is not mounted."""
    assert "no library" in refusal(tiny_bundle_path, tmp_path / "library", create="false")
    assert not (tmp_path / "library").exists()


def test_a_service_does_not_start_where_a_restore_was_interrupted(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    library, backup = tmp_path / "library", tmp_path / "backup.tar"
    with running(tiny_bundle_path, library) as server:
        put(server, list(SOUNDS))
        run("backup", backup, "--library", library)
    content = backup.read_bytes()
    backup.write_bytes(content[: len(content) // 2])
    run("restore", backup, "--library", tmp_path / "new", code=1)

    assert "minuend restore" in refusal(tiny_bundle_path, tmp_path / "new")

    backup.write_bytes(content)
    run("restore", backup, "--library", tmp_path / "new")
    with running(tiny_bundle_path, tmp_path / "new") as server:
        for name, sound in SOUNDS.items():
            assert server.client.get(f"/clips/{name}/audio").content == sound


def test_the_start_warns_once_of_a_defect_of_sqlite(tiny_bundle_path: Path, tmp_path: Path) -> None:
    process = server_process.start(bundle=tiny_bundle_path, library=tmp_path / "library")
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(json.loads(line))
        if "port" in lines[-1]:
            break
    process.kill()
    process.communicate()
    warnings = [line for line in lines if "WAL-reset" in json.dumps(line)]
    assert len(warnings) == has_wal_reset_bug()
