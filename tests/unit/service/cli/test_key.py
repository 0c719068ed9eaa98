from __future__ import annotations

from pathlib import Path

from shell import run, run_json

from service.api.keys import KeyRing


def test_a_key_is_added_listed_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    secret = run("key", "add", "studio", "--scope", "write", "--keys", path).stdout.strip()
    reader = run_json("key", "add", "lab", "--keys", path)
    ring = KeyRing(path)
    found = ring.find(secret)
    assert found is not None
    assert (found.name, found.scope) == ("studio", "write")
    assert reader["scope"] == "read"
    assert ring.find(reader["key"]) is not None
    listed = run("key", "list", "--keys", path).stdout
    assert listed == "write  studio\nread   lab\n"
    run("key", "remove", "studio", "--keys", path)
    assert run_json("key", "list", "--keys", path) == {"keys": [{"name": "lab", "scope": "read"}]}
    ring.refresh()
    assert ring.find(secret) is None


def test_errors_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.txt"
    run("key", "add", "studio", "--keys", path)
    before = path.read_bytes()
    assert "already" in run("key", "add", "studio", "--keys", path, code=1).output
    assert "no key named" in run("key", "remove", "other", "--keys", path, code=1).output
    assert "cannot name a key" in run("key", "add", "a b", "--keys", path, code=1).output
    assert path.read_bytes() == before
