"""What is read of a clip is of one version of it, while others replace and delete the clip."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest
import server_process
import synth

from service.library.backup import back_up
from service.library.restore import restore

pytestmark = pytest.mark.e2e

READ_S = 4.0
"""How long clips are read while they change [s]."""
IDS = ("a", "b")
SOUNDS = {
    "audio/wav": synth.encode(synth.tone(440, 2.0)),
    "audio/flac": synth.encode(synth.noise(1, 1.0), form="FLAC"),
    "audio/ogg": synth.encode(synth.noise(2, 0.5), form="OGG"),
}
CONTENTS = {hashlib.sha256(content).hexdigest(): content for content in SOUNDS.values()}
TYPES = {hashlib.sha256(content).hexdigest(): kind for kind, content in SOUNDS.items()}
COLUMNS = 20

Read = Callable[[httpx.Client, str], httpx.Response]
Pictures = dict[str, bytes]


def put(client: httpx.Client, clip_id: str, content: bytes) -> None:
    assert client.put(f"/clips/{clip_id}", files={"audio": content}).status_code in (200, 201)


def read_whole(client: httpx.Client, clip_id: str) -> httpx.Response:
    return client.get(f"/clips/{clip_id}/audio")


def read_part(client: httpx.Client, clip_id: str) -> httpx.Response:
    return client.get(f"/clips/{clip_id}/audio", headers={"range": "bytes=-3000"})


def read_picture(client: httpx.Client, clip_id: str) -> httpx.Response:
    return client.get(f"/clips/{clip_id}/spectrogram", params={"columns": COLUMNS})


def read_curve(client: httpx.Client, clip_id: str) -> httpx.Response:
    asked = {"mixture_id": clip_id, "reference_id": clip_id, "curve": True, "hop_s": 0.4}
    return client.post("/difference", json=asked)


def check(response: httpx.Response, pictures: Pictures) -> str:
    """Check that a response is of one version of the clip, and return what it is."""
    path = response.request.url.path
    if response.status_code == 404:
        assert response.json()["code"] == "clip_unknown", response.text
        return "unknown"
    assert response.status_code in (200, 206), response.text
    if path == "/difference":
        return "curve"
    tag = response.headers["etag"].strip('"')
    if path.endswith("/spectrogram"):
        assert response.content == pictures[tag]
        return "picture"
    if response.status_code == 200:
        digest = hashlib.sha256(response.content).hexdigest()
        assert response.headers["content-type"] == TYPES[digest]
        assert tag == digest
        return "whole"
    whole = CONTENTS[tag]
    assert response.headers["content-type"] == TYPES[tag]
    first = len(whole) - 3000
    assert response.headers["content-range"] == f"bytes {first}-{len(whole) - 1}/{len(whole)}"
    assert response.content == whole[first:]
    return "part"


def write_until(stop: Event, url: str, seed: int) -> None:
    draw = random.Random(seed)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while not stop.is_set():
            clip_id = draw.choice(IDS)
            put(client, clip_id, draw.choice(list(CONTENTS.values())))
            if draw.random() < 0.2:
                assert client.delete(f"/clips/{clip_id}").status_code in (204, 404)


def read_until(stop: Event, url: str, read: Read, pictures: Pictures) -> Counter[str]:
    found: Counter[str] = Counter()
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        while not stop.is_set():
            for clip_id in IDS:
                found[check(read(client, clip_id), pictures)] += 1
    return found


def back_up_until(stop: Event, library: Path, folder: Path) -> list[Path]:
    made: list[Path] = []
    while not stop.is_set():
        made.append(folder / f"{len(made)}.tar")
        back_up(library, made[-1])
    return made


def draw_all(client: httpx.Client) -> Pictures:
    """Return the picture of each sound, by its entity tag."""
    pictures = {}
    for content in CONTENTS.values():
        put(client, IDS[0], content)
        picture = read_picture(client, IDS[0])
        pictures[picture.headers["etag"].strip('"')] = picture.content
    return pictures


def test_what_is_read_of_a_changing_clip_is_of_one_version(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    library, stop = tmp_path / "library", Event()
    with server_process.running(tiny_bundle_path, library) as server:
        # The server waits for a reader of its log when the pipe is full.
        Thread(target=lambda log: [None for _ in log], args=[server.process.stderr]).start()
        url, pictures = str(server.client.base_url), draw_all(server.client)
        with ThreadPoolExecutor(10) as threads:
            writers = [threads.submit(write_until, stop, url, seed) for seed in range(2)]
            readers = [
                threads.submit(read_until, stop, url, read, pictures)
                for read in (read_whole, read_whole, read_part, read_picture, read_curve)
            ]
            backups = threads.submit(back_up_until, stop, library, tmp_path)
            stop.wait(READ_S)
            stop.set()
        assert server.stop() == 0

    assert [writer.result() for writer in writers] == [None, None]
    found = sum((reader.result() for reader in readers), Counter[str]())
    assert set(found) >= {"whole", "part", "picture", "curve"}
    for number, backup in enumerate(backups.result()[-3:]):
        restore(backup, tmp_path / f"restored-{number}")
