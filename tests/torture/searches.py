"""Searches: what was acknowledged is found, by itself as the best hit, and nothing else is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from torture.actor import Actor
from torture.connection import Answer, Request
from torture.model import Model
from torture.reads import Where, draw_filter, passes, report_status
from torture.server import Server, now
from torture.values import Value, is_absent, is_present, make_vector

MOST_HITS = 1000
OWN_SCORE = 0.999
"""Least score of a sound that is searched by itself: half precision moves it by less."""
JSON = {"content-type": "application/json"}


def search_own(actor: Actor, server: Server) -> None:
    """Search among the clips of this client: all that can be found must be found."""
    search_exactly(actor, server, draw_filter(actor), actor.own_ids)


def search_exactly(actor: Actor, server: Server, where: Where, keys: Sequence[str]) -> None:
    """Search with any vector and a filter that only `keys` pass: all of those must be found."""
    query = {"embedding": make_vector(actor.rng), "k": MOST_HITS, "filter": where}
    answer = _search(actor, server, Request("POST", "/search", None, _json(query), JSON))
    if answer is None:
        return
    found = {hit["clip_id"]: hit for hit in answer.body["hits"]}
    for key, hit in found.items():
        if key not in keys or not passes(hit["metadata"], where):
            actor.model.report("wrong", key, f"a search with {where} found {hit}")
    for key in set(keys) - set(found):
        value = actor.model.certain(key, answer.start, answer.end)
        if value is None or not passes(value.metadata, where):
            continue
        if value.is_found_by(server.bundle.fingerprint):
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
        report_status(actor, str(request), answer)
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


def _json(query: Mapping[str, Any]) -> bytes:
    return json.dumps(query).encode()
