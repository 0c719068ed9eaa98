from __future__ import annotations

import stat
from pathlib import Path

import pytest

from service.api.keys import KeyRing, make_key, read_keys, write_keys
from service.errors import KeysError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_a_key_is_found_by_its_secret_and_by_nothing_else(path: Path) -> None:
    secrets, keys = zip(*(make_key(f"k{i}", "read") for i in range(3)), strict=True)
    write_keys(path, keys)
    ring = KeyRing(path)
    assert [ring.find(secret) for secret in secrets] == list(keys)
    for wrong in (secrets[0][:-1], secrets[0] + "x", "", "k0", keys[0].sha256, "\udcff"):
        assert ring.find(wrong) is None


def test_the_secret_is_in_no_file_and_only_its_owner_reads_the_file(path: Path) -> None:
    secret, key = make_key("studio", "write")
    write_keys(path, [key])
    assert secret not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secrets_are_long_and_unique() -> None:
    secrets = {make_key("k", "read")[0] for _ in range(100)}
    assert len(secrets) == 100
    assert min(map(len, secrets)) >= 43


def test_written_keys_are_read_back_beside_comments(path: Path) -> None:
    keys = [make_key("a", "read")[1], make_key("b", "write")[1]]
    write_keys(path, keys)
    path.write_text("# studio keys\n\n" + path.read_text())
    assert list(read_keys(path)) == keys


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("studio write abc", "line 1"),
        (f"studio admin {'0' * 64}", "line 1"),
        (f"\na read {'0' * 64}\na read {'1' * 64}", "line 3: there are two keys named 'a'"),
        ("\x00\xff", "line 1"),
    ],
)
def test_a_wrong_line_is_named(path: Path, text: str, fault: str) -> None:
    path.write_text(text)
    with pytest.raises(KeysError, match=fault):
        read_keys(path)


def test_a_missing_file_is_an_error(path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read"):
        KeyRing(path)


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 65, "a\nb"])
def test_a_name_that_would_break_the_file_is_refused(name: str) -> None:
    with pytest.raises(KeysError, match="cannot name a key"):
        make_key(name, "read")


def test_keys_change_while_the_ring_is_in_use(path: Path) -> None:
    old_secret, old = make_key("old", "read")
    new_secret, new = make_key("new", "write")
    write_keys(path, [old])
    ring = KeyRing(path)
    assert ring.find(old_secret) == old
    write_keys(path, [new])
    ring.refresh()
    assert ring.find(old_secret) is None
    assert ring.find(new_secret) == new


def test_the_file_is_due_for_a_check_once_a_second(path: Path) -> None:
    times = iter([0.0, 0.9, 1.0, 1.9, 2.1])
    write_keys(path, [])

    ring = KeyRing(path, clock=lambda: next(times))

    assert [ring.is_due() for _ in range(4)] == [False, True, False, True]


def test_a_broken_file_leaves_the_last_good_keys_valid_and_logs_one_line(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret, key = make_key("a", "read")
    write_keys(path, [key])
    ring = KeyRing(path)

    path.write_text("half a li")
    for _ in range(3):
        ring.refresh()
        assert ring.find(secret) == key
    assert len(caplog.records) == 1
    assert "line 1" in caplog.text
    assert "Traceback" not in caplog.text
    path.unlink()
    for _ in range(3):
        ring.refresh()
        assert ring.find(secret) == key
    assert len(caplog.records) == 2
    write_keys(path, [])
    ring.refresh()
    assert ring.find(secret) is None
