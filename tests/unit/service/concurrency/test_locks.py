from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from service.concurrency.locks import SharedLock, claim_directory, file_lock

SOON_S = 10.0
A_MOMENT_S = 0.05


def test_file_lock_lets_one_thread_in_at_a_time(tmp_path: Path) -> None:
    inside: list[int] = []

    def visit(_: int) -> None:
        with file_lock(tmp_path / "lock"):
            inside.append(1)
            assert len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(visit, range(200)))


def test_file_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        try:
            with file_lock(tmp_path / "lock"):
                raise KeyError
        except KeyError:
            pass


def test_directory_can_be_claimed_once_until_the_claim_is_closed(tmp_path: Path) -> None:
    first = claim_directory(tmp_path)
    assert first is not None
    assert claim_directory(tmp_path) is None
    os.close(first)
    second = claim_directory(tmp_path)
    assert second is not None
    os.close(second)


def test_readers_share_and_a_change_is_alone() -> None:
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

    def change() -> None:
        with lock.exclusive():
            assert n_readers == 0

    with ThreadPoolExecutor(3) as pool:
        tasks = [pool.submit(task) for task in (read, read, change)]
        for task in tasks:
            task.result(SOON_S)


def test_a_waiting_change_goes_before_new_readers() -> None:
    lock = SharedLock()
    order: list[str] = []
    reading, leave = threading.Event(), threading.Event()

    def first_reader() -> None:
        with lock.shared():
            reading.set()
            leave.wait(SOON_S)

    def change() -> None:
        with lock.exclusive():
            order.append("change")

    def late_reader() -> None:
        with lock.shared():
            order.append("read")

    threads = [threading.Thread(target=target) for target in (first_reader, change, late_reader)]
    threads[0].start()
    assert reading.wait(SOON_S)
    for thread in threads[1:]:
        thread.start()
        thread.join(A_MOMENT_S)
        assert thread.is_alive()
    leave.set()
    for thread in threads:
        thread.join(SOON_S)
    assert order == ["change", "read"]
