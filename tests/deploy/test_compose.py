"""The image and the compose file at work: uploads, kills, upgrades, backups, no network.

`make container-test` runs it with the docker and the compose that are on the PATH.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest
import synth
import tiny_bundle
from compose_stack import IMAGE, Stack, build, docker

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LARGEST_LAYERS_BYTES = 400e6
WITH_AAC = f"{IMAGE}-aac"
SOUNDS = {f"tone-{hz}": synth.encode(synth.tone(hz)) for hz in (220, 450, 900, 1800, 3600)} | {
    "noise": synth.encode(synth.noise(0), form="FLAC"),
    "clicks": synth.encode(synth.impulses(20), form="OGG"),
}
Answer = list[tuple[str, float]]


def put(client: httpx.Client, clip_id: str, content: bytes, stage: str = "first") -> None:
    form = {"metadata": json.dumps({"stage": stage})}
    answer = client.put(f"/clips/{clip_id}", files={"audio": content}, data=form)
    assert answer.status_code in {200, 201}, answer.text


def answers(client: httpx.Client, stage: str = "first") -> list[Answer]:
    """Return what searches by every sound find among the clips of a stage."""
    found = []
    for content in SOUNDS.values():
        form = {"filter": json.dumps({"stage": stage}), "k": "5"}
        answer = client.post("/search", files={"audio": content}, data=form)
        assert answer.status_code == 200, answer.text
        found.append([(hit["clip_id"], hit["score"]) for hit in answer.json()["hits"]])
    return found


def ids(client: httpx.Client) -> set[str]:
    listed = client.get("/clips", params={"limit": 1000}).json()
    assert listed["next_cursor"] is None
    return {clip["clip_id"] for clip in listed["clips"]}


class Uploads:
    """Uploads one noise after another from a thread of its own, until the connection fails.

    Attributes:
        acknowledged: Name and content of the clips that were answered with a 2xx so far.
    """

    def __init__(self, stack: Stack, stage: str, seed: int) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self._url = stack.client.base_url
        self._stage, self._seed = stage, seed
        self._one_more = threading.Semaphore(0)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._upload)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_over.set()
        self._thread.join()

    def wait_for(self, n_more: int) -> None:
        for _ in range(n_more):
            assert self._one_more.acquire(timeout=60)

    def _upload(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._is_over.is_set():
                number = self._seed + len(self.acknowledged)
                name, content = f"{self._stage}-{number}", synth.encode(synth.noise(number))
                try:
                    put(client, name, content, self._stage)
                except httpx.TransportError:
                    return
                self.acknowledged[name] = content
                self._one_more.release()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is mounted at /bundles: another encoder, in `next`."""
    folder = tmp_path_factory.mktemp("bundles")
    folder.chmod(0o755)
    tiny_bundle.write(folder / "next")
    return folder


@pytest.fixture(scope="module")
def stack(image: str, bundles: Path) -> Iterator[Stack]:
    """The service, with a few clips in its library."""
    stack = Stack("minuend-test", MINUEND_BUNDLES=bundles)
    try:
        stack.up()
        for name, content in SOUNDS.items():
            put(stack.client, name, content)
        yield stack
    finally:
        stack.down()


def test_our_layers_are_small(stack: Stack) -> None:
    rows = docker(
        "history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", IMAGE
    )
    ours, n_ours = 0, 0
    for row in rows.splitlines():
        size, _, made_by = row.partition(" ")
        ours += int(size)
        n_ours += 1
        if "groupadd" in made_by:  # the first one above the base
            break

    assert n_ours < len(rows.splitlines())
    assert ours <= LARGEST_LAYERS_BYTES


def test_the_page_and_the_three_calls_answer(stack: Stack) -> None:
    client, tone, noise = stack.client, SOUNDS["tone-450"], SOUNDS["noise"]

    page = client.get("/")
    embedded = client.post("/embed", files={"audio": tone})
    difference = client.post("/difference", files={"mixture": noise, "reference": tone})
    found = client.post("/search", files={"audio": tone}, data={"modifier": "with rain", "k": "3"})

    assert "<title>Minuend</title>" in page.text
    assert len(embedded.json()["embeddings"][0]["embedding"]) == 3072
    assert difference.json()["relative_norm"] > 0
    assert len(found.json()["hits"]) == 3


def test_m4a_is_read_by_an_image_that_was_built_for_it(stack: Stack) -> None:
    content = synth.encode_aac(synth.tone(450)[:, None])
    build(WITH_AAC, MINUEND_EXTRAS="otel,aac")
    larger = Stack("minuend-test-aac", MINUEND_IMAGE=WITH_AAC)
    try:
        larger.up()
        read = larger.client.post("/embed", files={"audio": content})
    finally:
        larger.down()

    refused = stack.client.post("/embed", files={"audio": content})

    assert read.json()["embeddings"][0]["media_type"] == "audio/mp4"
    assert (refused.status_code, refused.json()["code"]) == (415, "media_unsupported")


def test_the_container_may_do_no_more_than_it_must(stack: Stack) -> None:
    told = stack.inspect()
    host = told["HostConfig"]

    assert told["Config"]["User"] == "minuend"
    assert host["ReadonlyRootfs"] is True
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == 2 * 1024**3
    assert host["PidsLimit"] == 256
    assert stack.compose("exec", "-T", "minuend", "id", "-u").strip() == "10001"
    with pytest.raises(AssertionError, match="Read-only file system"):
        stack.compose("exec", "-T", "minuend", "touch", "/models/default/new")


def test_it_starts_and_answers_without_a_network(stack: Stack) -> None:
    call = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/readyz').status)"
    name = f"{stack.project}-alone"
    options = ("--network=none", "--read-only", "--tmpfs=/tmp", "--name", name)
    docker("run", "--rm", "--detach", *options, IMAGE)
    try:
        retry = f'for n in $(seq 120); do python3 -c "{call}" 2>/dev/null && break; sleep 1; done'
        assert docker("exec", name, "sh", "-c", retry).strip() == "200"
    finally:
        docker("rm", "--force", "--volumes", name)


def test_a_kill_loses_nothing_acknowledged_and_is_recovered_from(stack: Stack) -> None:
    before = answers(stack.client)
    restarts = stack.inspect()["RestartCount"]

    with Uploads(stack, "killed", seed=1000) as uploads:
        uploads.wait_for(5)
        stack.kill()
    stack.wait_until_ready()

    assert stack.inspect()["RestartCount"] == restarts + 1
    assert ids(stack.client) >= {*SOUNDS, *uploads.acknowledged}
    assert answers(stack.client) == before
    for name, content in uploads.acknowledged.items():
        assert stack.client.get(f"/clips/{name}/audio").content == content


def test_a_stop_and_a_start_change_no_answer(stack: Stack) -> None:
    before = answers(stack.client)

    stack.compose("stop", "minuend")
    exit_code = stack.inspect()["State"]["ExitCode"]
    stack.up()

    assert exit_code == 0
    assert answers(stack.client) == before


def test_a_backup_taken_under_load_gives_the_same_answers_elsewhere(
    stack: Stack, bundles: Path
) -> None:
    with Uploads(stack, "meanwhile", seed=2000) as uploads:
        uploads.wait_for(3)
        before = {*SOUNDS, *uploads.acknowledged}
        told = json.loads(stack.minuend("backup", "/backups/minuend.tar", "--json"))
        uploads.wait_for(3)

    restored = Stack("minuend-test-restored", MINUEND_BUNDLES=bundles)
    volume = f"--volume={stack.project}_backups:/from:ro"
    into = f"--volume={restored.project}_library:/library"
    try:
        docker("run", "--rm", volume, into, IMAGE, "minuend", "restore", "/from/minuend.tar")
        restored.up()
        there = ids(restored.client)
        assert there >= before
        assert there < ids(stack.client)
        assert told["audio_files"] == len(there)
        assert answers(restored.client) == answers(stack.client)
    finally:
        restored.down()


def test_an_upgrade_to_another_bundle_and_back(stack: Stack) -> None:
    by_default = answers(stack.client)
    fingerprint = stack.client.get("/readyz").json()["bundle"]["fingerprint"]
    reembed = ("index", "--reembed", "--bundle", "/bundles/next", "--json")

    told = json.loads(stack.minuend(*reembed))
    assert told["left_out"] == []
    assert told["embedded"] == len(ids(stack.client))
    put(stack.client, "late", SOUNDS["noise"], stage="late")  # by the old encoder still
    stack.compose("stop", "minuend")
    alone = stack.compose("run", "--rm", "-T", "--no-deps", "minuend", "minuend", *reembed)
    assert json.loads(alone)["embedded"] == 1
    stack.environment["MINUEND_BUNDLE"] = "/bundles/next"
    stack.up()

    upgraded = stack.client.get("/readyz").json()["bundle"]
    assert upgraded["id"] == "tiny-0"
    assert upgraded["fingerprint"] != fingerprint
    assert [found[0][0] for found in answers(stack.client)] == list(SOUNDS)
    assert answers(stack.client, "late")[0][0][0] == "late"

    del stack.environment["MINUEND_BUNDLE"]
    stack.up()
    assert answers(stack.client) == by_default


def test_a_bundle_that_has_not_embedded_the_library_is_refused(stack: Stack, bundles: Path) -> None:
    tiny_bundle.write(bundles / "foreign", seed=1)
    words = ("run", "--rm", "-T", "--no-deps", "-e", "MINUEND_BUNDLE=/bundles/foreign")

    with pytest.raises(AssertionError, match=r"minuend cannot start: .*--reembed"):
        stack.compose(*words, "minuend")


def test_keys_are_asked_for_once_they_are_set(stack: Stack) -> None:
    told = stack.minuend("key", "add", "studio", "--keys", "/library/keys.txt", "--json")
    headers = {"authorization": f"Bearer {json.loads(told)['key']}"}
    stack.environment["MINUEND_KEYS"] = "/library/keys.txt"
    try:
        stack.up()
        assert stack.client.get("/clips").status_code == 401
        assert stack.client.get("/clips", headers=headers).status_code == 200
    finally:
        del stack.environment["MINUEND_KEYS"]
        stack.up()
