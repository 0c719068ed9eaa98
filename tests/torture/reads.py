"""Operations that read the library; each answer must be possible by the model."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torture.actor import Actor
from torture.connection import Answer, Request
from torture.model import Model
from torture.server import Server, now
from torture.values import Value, is_absent, is_present, make_vector

MOST_HITS = 1000
OWN_SCORE = 0.999
"""Least score of a sound that is searched by itself: half precision moves it by less."""
JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a listing, and when it was read."""

    records: Sequence[Mapping[str, Any]]
    start: float
    end: float


def get(actor: Actor, server: Server) -> None:
    """Read one clip."""
    key = actor.draw_id()
    answer = actor.send(server, Request("GET", f"/clips/{key}"))
    if answer.status == 200:
        read_record(actor, key, answer.body["clip"], answer.start, answer.end)
    else:
        _read_missing(actor, key, answer)


def audio(actor: Actor, server: Server) -> None:
    """Download the audio of a clip; with its entity tag, if the client has one."""
    key = actor.draw_id()
    tag, sha256 = actor.etags.get(key, ("", ""))
    headers = {"if-none-match": tag} if tag and actor.rng.random() < 0.3 else {}
    answer = actor.send(server, Request("GET", f"/clips/{key}/audio", None, None, headers))
    if answer.status == 304 and headers:
        _read_content(actor, key, sha256, None, answer)
    elif answer.status == 200:
        sha256 = hashlib.sha256(answer.content).hexdigest()
        if _read_content(actor, key, sha256, answer.headers["content-type"], answer):
            actor.etags[key] = (answer.headers.get("etag", ""), sha256)
    else:
        _read_missing(actor, key, answer)


def part(actor: Actor, server: Server) -> None:
    """Download a part of the audio of a clip."""
    key, first = actor.draw_id(), actor.rng.randrange(2000)
    last = first + actor.rng.randrange(2000)
    headers = {"range": f"bytes={first}-{last}"}
    answer = actor.send(server, Request("GET", f"/clips/{key}/audio", None, None, headers))
    if answer.status == 206:
        given = answer.headers["content-range"]

        def is_part(value: Value) -> bool:
            data = value.content.data if value.content else b""
            end = min(last, len(data) - 1)
            return answer.content == data[first : last + 1] and given == (
                f"bytes {first}-{end}/{len(data)}"
            )

        actor.model.read(key, answer.start, answer.end, is_part, f"the part {given} of the audio")
    elif answer.status == 416:

        def is_short(value: Value) -> bool:
            return value.content is not None and len(value.content.data) <= first

        actor.model.read(key, answer.start, answer.end, is_short, f"no byte {first} in the audio")
    else:
        _read_missing(actor, key, answer)


def list_own(actor: Actor, server: Server) -> None:
    """List the clips of this client alone, with a filter."""
    limit = actor.rng.randint(3, 40)
    list_pages(actor, server, limit, {"writer": actor.name}, actor.own_ids)


def list_all(actor: Actor, server: Server) -> None:
    """List the library, page by page, while others write."""
    list_pages(actor, server, actor.rng.randint(20, 200), None, None)


def list_pages(
    actor: Actor,
    server: Server,
    limit: int,
    where: Mapping[str, str] | None,
    keys: Sequence[str] | None,
) -> list[Page]:
    """Read a listing to its end and check it; `keys` are those that may be in it, None for all."""
    pages: list[Page] = []
    query = {"limit": str(limit)} | ({"filter": json.dumps(where)} if where else {})
    begin = now()
    while True:
        answer = actor.send(server, Request("GET", "/clips", query))
        if answer.status != 200:
            _report_status(actor, "a listing", answer)
            return []
        body = answer.body
        pages.append(Page(body["clips"], answer.start, answer.end))
        if len(body["clips"]) > limit or (body["next_cursor"] and len(body["clips"]) < limit):
            actor.model.report("wrong", "", f"a page of {limit} has {len(body['clips'])} clips")
        if not body["next_cursor"]:
            break
        query["cursor"] = body["next_cursor"]
    check_listing(actor, pages, keys, begin)
    return pages


def check_listing(
    actor: Actor, pages: Sequence[Page], keys: Sequence[str] | None, begin: float
) -> None:
    """Check every record; a clip that was there all the time must be listed exactly once."""
    model, end = actor.model, pages[-1].end
    listed: Counter[str] = Counter()
    for page in pages:
        for record in page.records:
            key = record["clip_id"]
            listed[key] += 1
            if keys is not None and key not in keys:
                model.report("wrong", key, f"a listing of {actor.name} has a foreign clip: {key}")
            read_record(actor, key, record, page.start, page.end)
    for key in model.keys() if keys is None else keys:
        possible = model.possible(key, begin, end)
        if possible and all(map(is_present, possible)) and listed[key] != 1:
            kind = "wrong" if listed[key] else "lost"
            model.report(kind, key, f"was listed {listed[key]} times and was there all the time")


def search_own(actor: Actor, server: Server) -> None:
    """Search among the clips of this client: all that can be found must be found."""
    search_exactly(actor, server, actor.name, actor.own_ids)


def search_exactly(actor: Actor, server: Server, writer: str, keys: Sequence[str]) -> None:
    """Search with any vector for the clips of a writer, and check that all of them are found."""
    query = {"embedding": make_vector(actor.rng), "k": MOST_HITS, "filter": {"writer": writer}}
    answer = _search(actor, server, Request("POST", "/search", None, _json(query), JSON))
    if answer is None:
        return
    found = {hit["clip_id"] for hit in answer.body["hits"]}
    for key in found.difference(keys):
        actor.model.report("wrong", key, f"a search for clips of {writer} found {key}")
    for key in set(keys) - found:
        value = actor.model.certain(key, answer.start, answer.end)
        if value is not None and value.is_found_by(server.bundle.fingerprint):
            text = f"{value} was not found by a search of server {server.number}"
            actor.model.report("lost", key, text)


def search_by_itself(actor: Actor, server: Server) -> None:
    """Search for a clip of this client by its own sound or vector: it must be the best hit."""
    key = actor.rng.choice(actor.own_ids)
    is_filtered = actor.rng.random() < 0.5
    start = now()
    value = actor.model.certain(key, start, start + 1e-9)
    if value is None or not value.is_found_by(server.bundle.fingerprint):
        return
    query: dict[str, Any] = {"filter": {"v": value.version}, "k": 3} if is_filtered else {"k": 40}
    if value.content is None:
        body = _json({"embedding": value.vector, **query})
        request = Request("POST", "/search", None, body, JSON)
    else:
        text = {name: item if name == "k" else json.dumps(item) for name, item in query.items()}
        kind = {"content-type": value.content.media_type}
        request = Request("POST", "/search", text, value.content.data, kind)
    answer = _search(actor, server, request)
    if answer is None or actor.model.certain(key, answer.start, answer.end) is not value:
        return
    hits = answer.body["hits"]
    own = [hit for hit in hits if hit["clip_id"] == key]
    is_crowded = len(hits) == query["k"] and hits[-1]["score"] >= OWN_SCORE
    if not own and not is_crowded:
        actor.model.report("lost", key, f"{value} was not found by itself: {hits[:2]}")
    elif own and (own[0]["score"] < OWN_SCORE or (is_filtered and len(hits) != 1)):
        actor.model.report("wrong", key, f"{value} was found by itself so: {hits[:3]}")


def search_stored(actor: Actor, server: Server) -> None:
    """Search by a stored clip, which must exist and is not among its own hits."""
    key = actor.draw_id()
    request = Request("POST", "/search", None, _json({"clip_id": key, "k": 20}), JSON)
    answer = _search(actor, server, request)
    if answer is not None and any(hit["clip_id"] == key for hit in answer.body["hits"]):
        actor.model.report("wrong", key, f"{key} was found by a search for clips like itself")


def search_any(actor: Actor, server: Server) -> None:
    """Search the whole library: every hit must exist."""
    query = {"embedding": make_vector(actor.rng), "k": actor.rng.randint(1, 60)}
    _search(actor, server, Request("POST", "/search", None, _json(query), JSON))


def read_record(
    actor: Actor, key: str, record: Mapping[str, Any], start: float, end: float
) -> None:
    """Check a record of a clip."""
    version = record["metadata"].get("v")
    what = f"read version {version} ({record['source']}, {(record['sha256'] or '')[:8]})"
    actor.model.read(key, start, end, lambda value: value.is_record(record), what)
    actor.check_windows(key, record)


def _search(actor: Actor, server: Server, request: Request) -> Answer | None:
    """Send a search and check its hits; a clip that it names may be absent or not embedded."""
    answer = actor.send(server, request)
    if answer.status == 404 or answer.code == "fingerprint_mismatch":
        key = json.loads(request.body or b"{}").get("clip_id", "")
        fingerprint = server.bundle.fingerprint

        def cannot_be_named(value: Value) -> bool:
            if answer.status == 404:
                return is_absent(value)
            return is_present(value) and not value.is_found_by(fingerprint)

        what = f"a search that names it answered {answer.code}"
        actor.model.read(key, answer.start, answer.end, cannot_be_named, what)
        return None
    if answer.status != 200:
        _report_status(actor, str(request), answer)
        return None
    _check_hits(actor.model, answer)
    return answer


def _check_hits(model: Model, answer: Answer) -> None:
    hits = answer.body["hits"]
    for hit in hits:
        key, what = hit["clip_id"], f"found with metadata {hit['metadata']}"

        def matches(value: Value, hit: Mapping[str, Any] = hit) -> bool:
            return value.is_hit(hit)

        model.read(key, answer.start, answer.end, matches, what)
    scores = [hit["score"] for hit in hits]
    if scores != sorted(scores, reverse=True) or len({hit["clip_id"] for hit in hits}) < len(hits):
        model.report("wrong", "", f"the hits are not in order, or one is there twice: {hits}")


def _read_content(
    actor: Actor, key: str, sha256: str, media_type: str | None, answer: Answer
) -> bool:
    def matches(value: Value) -> bool:
        content = value.content
        return (
            content is not None
            and content.sha256 == sha256
            and media_type in (None, content.media_type)
        )

    what = f"audio with digest {sha256[:8]} as {media_type}, {len(answer.content)} bytes"
    return actor.model.read(key, answer.start, answer.end, matches, what)


def _read_missing(actor: Actor, key: str, answer: Answer) -> None:
    """Check an answer that says that a clip, or its audio, is not there."""

    def has_no_audio(value: Value) -> bool:
        return is_present(value) and value.content is None

    if answer.code == "clip_unknown":
        actor.model.read(key, answer.start, answer.end, is_absent, "read as unknown")
    elif answer.code == "clip_audio_missing":
        actor.model.read(key, answer.start, answer.end, has_no_audio, "has no audio")
    else:
        _report_status(actor, key, answer)


def _report_status(actor: Actor, what: str, answer: Answer) -> None:
    if answer.status < 500:  # others are counted or reported where the answer arrives
        text = f"{what} answered {answer.status} {answer.content[:300]!r}"
        actor.model.report("wrong", what, text)


def _json(query: Mapping[str, Any]) -> bytes:
    return json.dumps(query).encode()
