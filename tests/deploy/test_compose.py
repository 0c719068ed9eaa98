"""The image and the compose file: uploads, kills, upgrades, backups, no network.

`make container-test` runs these tests with the docker and compose on the PATH.
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
    """Return the hits of a search by every sound among the clips of a stage."""
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
    """Uploads noises in a thread until the connection fails.

    Attributes:
        acknowledged: Name and content of the clips with an answer of 2xx.
    """

    def __init__(self, stack: Stack, stage: str, seed: int) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self._url = stack.client.base_url
        self._stage, self._seed = stage, seed
        self._uploaded = threading.Semaphore(0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._upload)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self._thread.join()

    def wait_for(self, n_more: int) -> None:
        for _ in range(n_more):
            assert self._uploaded.acquire(timeout=60)

    def _upload(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._stopped.is_set():
                number = self._seed + len(self.acknowledged)
                name, content = f"{self._stage}-{number}", synth.encode(synth.noise(number))
                try:
                    put(client, name, content, self._stage)
                except httpx.TransportError:
                    return
                self.acknowledged[name] = content
                self._uploaded.release()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for /bundles, with another encoder in `next`."""
    folder = tmp_path_factory.mktemp("bundles")
    folder.chmod(0o755)
    tiny_bundle.write(folder / "next")
    return folder


@pytest.fixture(scope="module")
def stack(image: str, bundles: Path) -> Iterator[Stack]:
    """The service with a few clips in its library."""
    stack = Stack("minuend-test", MINUEND_BUNDLES=bundles)
    try:
        stack.up()
        for name, content in SOUNDS.items():
            put(stack.client, name, content)
        yield stack
    finally:
        stack.down()


def test_the_layers_above_the_base_are_small(stack: Stack) -> None:
    rows = docker(
        "history", "--no-trunc", "--human=false", "--format={{.Size}} {{.CreatedBy}}", IMAGE
    )
    total, n_layers = 0, 0
    for row in rows.splitlines():
        size, _, made_by = row.partition(" ")
        total += int(size)
        n_layers += 1
        if "groupadd" in made_by:  # the first one above the base
            break

    assert n_layers < len(rows.splitlines())
    assert total <= LARGEST_LAYERS_BYTES


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


def test_an_image_with_the_extra_aac_reads_m4a(stack: Stack) -> None:
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


def test_the_container_has_no_further_rights(stack: Stack) -> None:
    output = stack.inspect()
    host = output["HostConfig"]

    assert output["Config"]["User"] == "minuend"
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


def test_a_kill_loses_no_acknowledged_clip(stack: Stack) -> None:
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


def test_a_restart_changes_no_answer(stack: Stack) -> None:
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
        output = json.loads(stack.minuend("backup", "/backups/minuend.tar", "--json"))
        uploads.wait_for(3)

    restored = Stack("minuend-test-restored", MINUEND_BUNDLES=bundles)
    volume = f"--volume={stack.project}_backups:/from:ro"
    into = f"--volume={restored.project}_library:/library"
    try:
        docker("run", "--rm", volume, into, IMAGE, "minuend", "restore", "/from/minuend.tar")
        restored.up()
        restored_ids = ids(restored.client)
        assert restored_ids >= before
        assert restored_ids < ids(stack.client)
        assert output["audio_files"] == len(restored_ids)
        assert answers(restored.client) == answers(stack.client)
    finally:
        restored.down()


def test_an_upgrade_to_another_bundle_and_back(stack: Stack) -> None:
    by_default = answers(stack.client)
    fingerprint = stack.client.get("/readyz").json()["bundle"]["fingerprint"]
    reembed = ("index", "--reembed", "--bundle", "/bundles/next", "--json")

    output = json.loads(stack.minuend(*reembed))
    assert output["left_out"] == []
    assert output["embedded"] == len(ids(stack.client))
    put(stack.client, "late", SOUNDS["noise"], stage="late")  # still by the old encoder
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


def test_requests_need_a_key_if_keys_are_set(stack: Stack) -> None:
    output = stack.minuend("key", "add", "studio", "--keys", "/library/keys.txt", "--json")
    headers = {"authorization": f"Bearer {json.loads(output)['key']}"}
    stack.environment["MINUEND_KEYS"] = "/library/keys.txt"
    try:
        stack.up()
        assert stack.client.get("/clips").status_code == 401
        assert stack.client.get("/clips", headers=headers).status_code == 200
    finally:
        del stack.environment["MINUEND_KEYS"]
        stack.up()
