"""A check of everything that a library holds, through the API of one server."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from torture import searches
from torture.actor import Actor
from torture.connection import Connection, Request
from torture.model import Candidate, Model
from torture.server import Server, now
from torture.values import ABSENT, Value

PAGE = 50
READERS = 2


@dataclass(frozen=True, slots=True)
class Seen:
    """What was read of one clip: its record, and digest and type of its audio."""

    record: Mapping[str, Any]
    sha256: str | None
    media_type: str | None

    def is_of(self, value: Value) -> bool:
        """Return whether record and audio are those of a value."""
        content = value.content
        return value.is_record(self.record) and (
            (self.sha256, self.media_type)
            == ((content.sha256, content.media_type) if content else (None, None))
        )

    def __str__(self) -> str:
        return f"version {self.record['metadata'].get('v')} with audio {self.sha256 or 'none':.8}"


def audit(actor: Actor, server: Server, writers: Mapping[str, Sequence[str]]) -> None:
    """Read all clips, with their audio, and search for all of them, while nobody writes.

    Args:
        actor: Sends the requests.
        server: The server to ask.
        writers: The ids of each writer.
    """
    model = actor.model
    begin = now()
    bulks = model.take_settled_bulks()
    seen = read_all(actor, server)
    end = now()
    for bulk in bulks:
        _check_bulk(model, bulk, seen)
    for key in set(model.keys()) | set(seen):
        if found := seen.get(key):
            model.read(key, begin, end, found.is_of, f"an audit read {found}")
        else:
            model.read(key, begin, end, lambda value: value is ABSENT, "an audit did not find it")
    for writer, keys in writers.items():
        searches.search_exactly(actor, server, {"writer": writer}, keys)
    if model.is_quiet():
        _check_count(actor, server, len(seen))
    actor.shared.count("audits")
    actor.shared.count("clips read by audits", len(seen))


def _check_count(actor: Actor, server: Server, n_seen: int) -> None:
    n_clips = actor.send(server, Request("GET", "/info")).body["library"]["clips"]
    if n_clips != n_seen and actor.model.is_quiet():
        actor.model.report("wrong", "", f"/info counts {n_clips} clips, the listing has {n_seen}")


def read_all(actor: Actor, server: Server) -> dict[str, Seen]:
    """Return what the library of a server holds: every record, and digests of the audio."""
    records: dict[str, Mapping[str, Any]] = {}
    query = {"limit": str(PAGE)}
    while True:
        body = actor.send(server, Request("GET", "/clips", query)).body
        for record in body["clips"]:
            if record["clip_id"] in records:
                actor.model.report("wrong", record["clip_id"], "was listed twice in a row")
            records[record["clip_id"]] = record
        if body["next_cursor"] is None:
            break
        query["cursor"] = body["next_cursor"]
    parts = [list(records.items())[first::READERS] for first in range(READERS)]
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda part: _read_audio(actor.model, server, part), parts)
        return {key: seen for part in found for key, seen in part}


def _read_audio(
    model: Model, server: Server, records: Sequence[tuple[str, Mapping[str, Any]]]
) -> list[tuple[str, Seen]]:
    connection = Connection(server.port)
    seen = []
    for key, record in records:
        if record["audio"] is None:
            seen.append((key, Seen(record, None, None)))
            continue
        answer = connection.send(Request("GET", record["audio"]))
        if answer.status != 200:
            text = f"an audit got {answer.status} {answer.content[:200]!r} for its audio"
            model.report("lost", key, f"{text}: {json.dumps(record)}")
        digest = hashlib.sha256(answer.content).hexdigest()
        seen.append((key, Seen(record, digest, answer.headers["content-type"])))
    connection.close()
    return seen


def _check_bulk(model: Model, bulk: Mapping[str, Candidate], seen: Mapping[str, Seen]) -> None:
    """Check that all lines of an upload are there, or none."""
    are_there = {
        key: key in seen and seen[key].is_of(candidate.value) for key, candidate in bulk.items()
    }
    if len(set(are_there.values())) > 1:
        model.report("wrong", ", ".join(bulk), f"a bulk upload was stored in part: {are_there}")


def check_moment(
    model: Model, seen: Mapping[str, Seen], begin: float, end: float
) -> dict[str, Value]:
    """Check that a library is as it was at one moment between two times.

    Args:
        model: What the library may have held.
        seen: All that it holds.
        begin: Earliest moment [s].
        end: Latest moment [s].

    Returns:
        The value of each id.
    """
    values: dict[str, Value] = {}
    spans: dict[str, list[Candidate]] = {}
    for key in set(model.keys()) | set(seen):
        found, possible = seen.get(key), model.moments(key, begin, end)
        spans[key] = [
            each
            for each in possible
            if (found.is_of(each.value) if found else each.value is ABSENT)
        ]
        if spans[key]:
            values[key] = spans[key][0].value
        else:
            kind = "wrong" if found or any(each.value is ABSENT for each in possible) else "lost"
            text = " or ".join(str(each.value) for each in possible)
            model.report(kind, key, f"a backup has {found or 'no clip'}; it must have {text}")
    moments = {begin} | {max(begin, c.start) for span in spans.values() for c in span}
    if all(spans.values()) and not any(
        all(any(c.start <= t <= c.gone for c in candidates) for candidates in spans.values())
        for t in moments
    ):
        model.report("wrong", "", "a backup mixes states of different moments")
    return values
