from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest
from small_disk import fill, read_only, small_disk

from service.concurrency.storage import free_bytes, storage_errors, try_write
from service.errors import ServiceError, StorageFullError, StorageUnavailableError


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EFBIG, StorageFullError),
        (errno.EROFS, StorageUnavailableError),
        (errno.EIO, StorageUnavailableError),
        (errno.EACCES, StorageUnavailableError),
    ],
)
def test_errors_of_a_disk_are_told_apart_and_name_no_path(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, number: int, expected: type[ServiceError]
) -> None:
    caplog.set_level(logging.WARNING)
    with (
        pytest.raises(expected, match="the library") as caught,
        storage_errors("the library", tmp_path),
    ):
        raise OSError(number, "reason", str(tmp_path / "file"))
    assert "reason" in caught.value.detail
    assert str(tmp_path) not in caught.value.detail
    assert str(tmp_path / "file") in caplog.text


@pytest.mark.parametrize(
    "error", [OSError("changed meanwhile"), FileNotFoundError(errno.ENOENT, "gone", "/other/file")]
)
def test_errors_that_do_not_concern_the_folder_stay_as_they_are(
    tmp_path: Path, error: OSError
) -> None:
    with pytest.raises(OSError) as caught, storage_errors("the library", tmp_path):  # noqa: PT011 - compared below
        raise error
    assert caught.value is error


def test_a_trial_leaves_nothing_and_fails_where_nothing_can_be_written(tmp_path: Path) -> None:
    try_write(tmp_path)
    assert not list(tmp_path.iterdir())
    with read_only(tmp_path), pytest.raises(OSError, match="Read-only"):
        try_write(tmp_path)
    with small_disk(tmp_path / "disk", 1 << 16) as disk:
        assert free_bytes(disk) == 1 << 16
        fill(disk)
        assert free_bytes(disk) == 0
        with pytest.raises(OSError, match="No space"):
            try_write(disk)
        assert [path.name for path in disk.iterdir()] == ["filler"]
