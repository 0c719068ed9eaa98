from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from service.concurrency.locks import SharedLock, claim_directory, claimed_folder, file_lock

SOON_S = 10.0
A_MOMENT_S = 0.05


def test_a_file_lock_is_held_by_one_thread_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def enter(_: int) -> None:
        with file_lock(tmp_path / "lock"):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enter, range(200)))


def test_a_file_lock_is_released_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with suppress(KeyError), file_lock(tmp_path / "lock"):
            raise KeyError


def test_a_directory_can_be_claimed_once_until_the_claim_is_closed(tmp_path: Path) -> None:
    first = claim_directory(tmp_path)
    assert first is not None
    assert claim_directory(tmp_path) is None
    os.close(first)
    second = claim_directory(tmp_path)
    assert second is not None
    os.close(second)


def test_readers_share_the_lock_and_a_writer_is_alone() -> None:
    lock = SharedLock()
    together = threading.Barrier(2, timeout=SOON_S)
    n_readers = 0
    counting = threading.Lock()

    def read() -> None:
        nonlocal n_readers
        with lock.shared():
            with counting:
                n_readers += 1
            together.wait()  # passes only if both are inside
            with counting:
                n_readers -= 1

    def write() -> None:
        with lock.exclusive():
            assert n_readers == 0

    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(task) for task in (read, read, write)]
        for task in tasks:
            task.result(SOON_S)


def test_a_waiting_writer_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []
    reading, finish = threading.Event(), threading.Event()

    def first_reader() -> None:
        with lock.shared():
            reading.set()
            finish.wait(SOON_S)

    def write() -> None:
        with lock.exclusive():
            order.append("write")

    def late_reader() -> None:
        with lock.shared():
            order.append("read")

    threads = [threading.Thread(target=target) for target in (first_reader, write, late_reader)]
    threads[0].start()
    assert reading.wait(SOON_S)
    for thread in threads[1:]:
        thread.start()
        thread.join(A_MOMENT_S)
        assert thread.is_alive()
    finish.set()
    for thread in threads:
        thread.join(SOON_S)
    assert order == ["write", "read"]


def test_a_claimed_folder_is_locked_and_then_removed(tmp_path: Path) -> None:
    with claimed_folder(tmp_path) as folder:
        (folder / "file").touch()
        assert claim_directory(folder) is None
    assert list(tmp_path.iterdir()) == []
