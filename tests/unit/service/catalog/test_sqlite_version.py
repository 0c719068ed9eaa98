from __future__ import annotations

import sqlite3

import pytest

from service.catalog import sqlite_version
from service.catalog.sqlite_version import has_wal_reset_bug, warn_of_defects

DEFECTIVE = [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)]
FIXED = [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)]


@pytest.mark.parametrize("version", DEFECTIVE)
def test_a_version_with_the_defect_is_recognised(version: tuple[int, int, int]) -> None:
    assert has_wal_reset_bug(version)


@pytest.mark.parametrize("version", FIXED)
def test_a_fixed_version_is_not_called_defective(version: tuple[int, int, int]) -> None:
    assert not has_wal_reset_bug(version)


def test_the_version_in_use_is_the_default() -> None:
    assert has_wal_reset_bug() == has_wal_reset_bug(sqlite3.sqlite_version_info)


@pytest.mark.parametrize("is_defective", [True, False])
def test_the_warning_names_the_version_and_the_fixed_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, is_defective: bool
) -> None:
    monkeypatch.setattr(sqlite_version, "has_wal_reset_bug", lambda: is_defective)
    warn_of_defects()
    assert len(caplog.records) == is_defective
    for record in caplog.records:
        for part in (sqlite3.sqlite_version, "3.51.3", "3.50.7", "3.44.6"):
            assert part in record.getMessage()
