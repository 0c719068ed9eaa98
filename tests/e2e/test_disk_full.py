"""A full disk, with every number of free pages from none: writes fail cleanly, nothing else does.

The disk is a small file system in memory; where none may be mounted, these tests are skipped.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import synth
from powercut.contents import State, Step, listed, problems, take, wrong_clips
from powercut.workloads import restore
from server_process import Server, running
from small_disk import fill, small_disk
from tiny_library import open_library

from service.errors import ServiceError, StartupError, StorageFullError
from service.library.backup import back_up
from service.library.library import Library

PAGE_BYTES = 4096
DISK_BYTES = 8 << 20  # SQLite's log alone may take 4 MB before it is emptied
RESERVE_BYTES = 1 << 20
FREE_PAGES = (*range(10), *range(10, 41, 5))

BEFORE: dict[str, int | None] = {f"before{seed}": seed for seed in range(8)}
WRITES: dict[str, Callable[[int], Step]] = {
    "vector": lambda n: Step("put", {f"new{n}": 0}),
    "audio": lambda n: Step("put", {f"new{n}": 1 + n % 3}),
    "many": lambda n: Step("put", {f"new{n}.{seed}": seed for seed in range(8)}),
    "replace": lambda n: Step("put", {"before1": n % 8}),
    "snapshot": lambda n: Step("save", {}),
}


class Disk:
    """A library on a small disk, and the clips that it must have.

    Attributes:
        path: Folder of the library.
        state: The clips.
        n_refused: Steps for which there was no room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / "library"
        self.state: State = {}
        self.n_refused = 0
        self._n_steps = 0

    def open(self) -> Library:
        return open_library(self.path, reserve_bytes=RESERVE_BYTES)

    def take(self, library: Library, step: Step) -> None:
        """Do a step that succeeds."""
        self._n_steps += 1
        take(library, step, self._n_steps)
        for name, seed in step.clips.items():
            self.state.pop(name, None)
            if seed is not None:
                self.state[name] = (seed, self._n_steps)

    def try_to_take(self, library: Library, step: Step) -> None:
        """Do a step for which there may be no room."""
        try:
            self.take(library, step)
        except StorageFullError:
            self.n_refused += 1

    def leave(self, n_pages: int) -> None:
        """Take all room of the disk but some pages."""
        filler = fill(self._folder)
        with filler.open("r+b") as file:
            file.truncate(max(0, filler.stat().st_size - n_pages * PAGE_BYTES))

    def make_room(self) -> None:
        (self._folder / "filler").unlink()

    def check(self, library: Library) -> None:
        """Check that the library has its clips, and that all can be read and found."""
        assert listed(library) == self.state
        assert list(wrong_clips(library, self.state)) == []


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with small_disk(tmp_path / "disk", DISK_BYTES) as folder:
        disk = Disk(folder)
        with closing(disk.open()) as library:
            disk.take(library, Step("put", BEFORE))
        yield disk


@pytest.mark.parametrize("kind", WRITES)
def test_a_write_without_room_is_refused_whole_and_the_rest_works(disk: Disk, kind: str) -> None:
    with closing(disk.open()) as library:
        for number, n_pages in enumerate(FREE_PAGES):
            disk.leave(n_pages)
            disk.try_to_take(library, WRITES[kind](number))
            disk.check(library)
            disk.make_room()
            disk.take(library, WRITES[kind](number))
            disk.check(library)
            for name in [name for name in disk.state if name.startswith("new")]:
                disk.take(library, Step("delete", {name: None}))
    assert problems(disk.path, [disk.state]) == []
    assert disk.n_refused or kind == "snapshot", "the disk was not full"


def test_every_clip_is_deleted_from_a_full_disk(disk: Disk) -> None:
    with closing(disk.open()) as library:
        for name in list(disk.state):
            disk.leave(0)
            disk.take(library, Step("delete", {name: None}))
            disk.check(library)
            disk.make_room()
    assert problems(disk.path, [{}]) == []


@pytest.mark.parametrize("n_pages", FREE_PAGES)
def test_a_library_on_a_full_disk_opens_with_all_its_clips(disk: Disk, n_pages: int) -> None:
    disk.leave(n_pages)
    with closing(disk.open()) as library:
        disk.check(library)
        disk.take(library, Step("delete", {"before1": None}))
    disk.make_room()
    assert problems(disk.path, [disk.state]) == []


@pytest.mark.parametrize("n_pages", FREE_PAGES[::4])
def test_a_backup_to_another_disk_needs_no_room(disk: Disk, tmp_path: Path, n_pages: int) -> None:
    disk.leave(n_pages)
    back_up(disk.path, tmp_path / "backup.tar")
    restore(tmp_path / "backup.tar", tmp_path / "restored")
    assert problems(tmp_path / "restored", [disk.state]) == []


def test_a_restore_without_room_is_refused_and_can_be_run_again(disk: Disk, tmp_path: Path) -> None:
    back_up(disk.path, tmp_path / "backup.tar")
    target = disk.path.with_name("restored")
    for n_pages in FREE_PAGES:
        disk.leave(n_pages)
        try:
            restore(tmp_path / "backup.tar", target)
        except (OSError, ServiceError, StartupError):
            with pytest.raises(StartupError):
                open_library(target, create=False)
            disk.make_room()
            restore(tmp_path / "backup.tar", target)
        else:
            disk.make_room()
        assert problems(target, [disk.state]) == []
        shutil.rmtree(target)


@pytest.mark.e2e
def test_a_server_on_a_full_disk_says_so_and_goes_on(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    sound, other = synth.encode(synth.tone(300)), synth.encode(synth.tone(2700))
    with (
        small_disk(tmp_path / "disk", DISK_BYTES) as folder,
        running(tiny_bundle_path, folder / "library", reserve_bytes=RESERVE_BYTES) as server,
    ):
        for name in ("kept", "removed"):
            put(server, name, sound, 201)
        filler = fill(folder)

        assert put(server, "new", other, 507)["code"] == "storage_full"
        assert put(server, "kept", other, 507)["code"] == "storage_full"
        hits = server.client.post("/search", files={"audio": sound}).json()["hits"]
        assert {hit["clip_id"] for hit in hits} == {"kept", "removed"}
        assert server.client.get("/clips/kept/audio").content == sound
        assert server.client.get("/clips/new").status_code == 404
        assert server.client.delete("/clips/removed").status_code == 204

        filler.unlink()
        put(server, "new", other, 201)
        assert server.client.get("/clips/new/audio").content == other
        assert server.stop() == 0


def put(server: Server, name: str, content: bytes, status: int) -> dict[str, object]:
    answer = server.client.put(f"/clips/{name}", files={"audio": content})
    assert answer.status_code == status, answer.text
    body: dict[str, object] = answer.json()
    return body
