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
from torture.server import Server, now
from torture.values import KINDS, Value, is_absent, is_present

Where = Mapping[str, str]
"""A filter for equal values of the metadata."""


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
    list_pages(actor, server, actor.rng.randint(3, 40), draw_filter(actor), actor.own_ids)


def list_all(actor: Actor, server: Server) -> None:
    """List the library, page by page, while others write."""
    list_pages(actor, server, actor.rng.randint(20, 200), {}, None)


def draw_filter(actor: Actor) -> Where:
    """Return a filter for the clips of this client, or for those of one kind."""
    kind = {"kind": actor.rng.choice(KINDS)} if actor.rng.random() < 0.3 else {}
    return {"writer": actor.name, **kind}


def passes(metadata: Mapping[str, Any], where: Where) -> bool:
    """Return whether metadata pass a filter."""
    return all(metadata.get(name) == value for name, value in where.items())


def list_pages(
    actor: Actor, server: Server, limit: int, where: Where, keys: Sequence[str] | None
) -> None:
    """Read a listing to its end and check it; `keys` are those that may be in it, None for all."""
    pages: list[Page] = []
    query = {"limit": str(limit)} | ({"filter": json.dumps(where)} if where else {})
    begin = now()
    while True:
        answer = actor.send(server, Request("GET", "/clips", query))
        if answer.status != 200:
            report_status(actor, "a listing", answer)
            return
        body = answer.body
        pages.append(Page(body["clips"], answer.start, answer.end))
        if len(body["clips"]) > limit or (body["next_cursor"] and len(body["clips"]) < limit):
            actor.model.report("wrong", "", f"a page of {limit} has {len(body['clips'])} clips")
        if not body["next_cursor"]:
            break
        query["cursor"] = body["next_cursor"]
    _check_listing(actor, pages, where, keys, begin)


def _check_listing(
    actor: Actor, pages: Sequence[Page], where: Where, keys: Sequence[str] | None, begin: float
) -> None:
    """Check every record; a clip that was there all the time must be listed exactly once."""
    model, end = actor.model, pages[-1].end
    listed: Counter[str] = Counter()
    for page in pages:
        for record in page.records:
            key = record["clip_id"]
            listed[key] += 1
            if (keys is not None and key not in keys) or not passes(record["metadata"], where):
                model.report("wrong", key, f"a listing with {where} has a clip of others: {record}")
            read_record(actor, key, record, page.start, page.end)
    for key in model.keys() if keys is None else keys:
        possible = model.possible(key, begin, end)
        was_there = all(is_present(each) and passes(each.metadata, where) for each in possible)
        if possible and was_there and listed[key] != 1:
            kind = "wrong" if listed[key] else "lost"
            model.report(kind, key, f"was listed {listed[key]} times and was there all the time")


def read_record(
    actor: Actor, key: str, record: Mapping[str, Any], start: float, end: float
) -> None:
    """Check a record of a clip."""
    version = record["metadata"].get("v")
    what = f"read version {version} ({record['source']}, {(record['sha256'] or '')[:8]})"
    actor.model.read(key, start, end, lambda value: value.is_record(record), what)
    actor.check_windows(key, record)


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
        report_status(actor, key, answer)


def report_status(actor: Actor, what: str, answer: Answer) -> None:
    if answer.status < 500:  # others are counted or reported where the answer arrives
        text = f"{what} answered {answer.status} {answer.content[:300]!r}"
        actor.model.report("wrong", what, text)
