from __future__ import annotations

import sqlite3

import pytest

from service.catalog.sqlite_version import wal_reset_warning


@pytest.mark.parametrize(
    "version",
    [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 0), (3, 51, 2)],
)
def test_a_version_with_the_defect_is_named_with_the_fixed_ones(
    version: tuple[int, int, int],
) -> None:
    warning = wal_reset_warning(version)
    assert warning is not None
    for part in (".".join(map(str, version)), "3.51.3", "3.50.7", "3.44.6"):
        assert part in warning


@pytest.mark.parametrize("version", [(3, 44, 6), (3, 50, 7), (3, 51, 3), (3, 53, 0), (4, 0, 0)])
def test_a_fixed_version_gives_no_warning(version: tuple[int, int, int]) -> None:
    assert wal_reset_warning(version) is None


def test_the_version_in_use_is_the_default() -> None:
    assert wal_reset_warning() == wal_reset_warning(sqlite3.sqlite_version_info)
