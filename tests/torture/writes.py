"""Operations that change the library, and what their answers mean."""

from __future__ import annotations

import json
from collections.abc import Mapping

from torture.actor import Actor, values_of
from torture.connection import Answer, Cut, NoAnswerError, NotSentError, Request, form
from torture.server import Server, now
from torture.values import ABSENT, Value, is_absent, is_present, make_vector

REFUSED = (503, 507)
"""Answers after which nothing was done: too many requests, no room."""
NDJSON = {"content-type": "application/x-ndjson"}
MOST_LINES = 6


def write(
    actor: Actor,
    server: Server,
    values: Mapping[str, Value],
    request: Request,
    cut: Cut | None = None,
) -> Answer | None:
    """Send a write and note in the model what is known of it; return its answer if it succeeded."""
    model = actor.model
    written = model.begin(values, server.number, now())
    actor.shared.note(actor.name, f"writes {values_of(values)}", server=server.number)
    try:
        answer = actor.send(server, request, cut)
    except NotSentError:
        model.refuse(written)
        return None
    except NoAnswerError:
        actor.shared.count("writes without an answer")
        model.leave_open(written, now())
        return None
    if answer.status < 300:
        _check_existence(actor, values, request, answer)
        model.acknowledge(written, answer.end)
        return answer
    if answer.status >= 500 and answer.status not in REFUSED:
        actor.shared.count("writes without an answer")
        model.leave_open(written, answer.end, is_over=True)
        return None
    model.refuse(written)
    if request.method == "DELETE" and answer.code == "clip_unknown":
        (key,) = values
        model.read(key, answer.start, answer.end, is_absent, "the deletion found no clip")
    elif answer.status not in REFUSED:
        text = f"{request} was refused: {answer.status} {answer.content[:300]!r}"
        model.report("wrong", next(iter(values)), text)
    return None


def put(actor: Actor, server: Server, cut: Cut | None = None, deadline: str = "") -> None:
    """Add or replace a clip under an id of one's own, as a form or as a raw body."""
    key = actor.rng.choice(actor.put_ids) if actor.rng.random() < 0.85 else actor.draw_id()
    content = actor.rng.choice(actor.sounds + actor.shared.sounds)
    if key in (sound.derived_id for sound in actor.sounds):
        content = next(sound for sound in actor.sounds if sound.derived_id == key)
    metadata = actor.new_metadata(key)
    value = Value(metadata["v"], metadata, "stored", content)
    headers = {"minuend-deadline-s": deadline} if deadline else {}
    if actor.rng.random() < 0.5:
        body, kind = form(content.data, metadata)
        request = Request("PUT", f"/clips/{key}", None, body, kind | headers)
    else:
        query, kind = {"metadata": json.dumps(metadata)}, {"content-type": content.media_type}
        request = Request("PUT", f"/clips/{key}", query, content.data, kind | headers)
    _check_record(actor, key, value, write(actor, server, {key: value}, request, cut))


def post(actor: Actor, server: Server) -> None:
    """Add a clip under the id of its content."""
    content = actor.rng.choice(actor.sounds)
    key = content.derived_id
    metadata = actor.new_metadata(key)
    value = Value(metadata["v"], metadata, "stored", content)
    body, headers = form(content.data, metadata)
    request = Request("POST", "/clips", None, body, headers)
    _check_record(actor, key, value, write(actor, server, {key: value}, request))


def delete(actor: Actor, server: Server, cut: Cut | None = None) -> None:
    """Remove a clip."""
    key = actor.draw_id()
    write(actor, server, {key: ABSENT}, Request("DELETE", f"/clips/{key}"), cut)


def bulk(actor: Actor, server: Server, cut: Cut | None = None, deadline: str = "") -> None:
    """Store vectors, some of them under ids that have audio."""
    values = {}
    for _ in range(actor.rng.randint(1, MOST_LINES)):
        key = actor.rng.choice(actor.vector_ids) if actor.rng.random() < 0.8 else actor.draw_id()
        values[key] = vector_value(actor, server, key)
    headers = {"minuend-deadline-s": deadline} if deadline else {}
    lines = b"\n".join(_line(key, value) for key, value in values.items())
    request = Request("POST", "/clips/bulk", None, lines, NDJSON | headers)
    begin = now()
    answer = write(actor, server, values, request, cut)
    if answer is not None:
        _check_counts(actor, values, answer, begin)


def vector_value(actor: Actor, server: Server, key: str) -> Value:
    """Return a new value without audio, of the encoder that the server serves."""
    metadata, vector = actor.new_metadata(key), make_vector(actor.rng)
    fingerprint = server.bundle.fingerprint
    return Value(metadata["v"], metadata, "vector", vector=vector, fingerprint=fingerprint)


def refused(actor: Actor, server: Server) -> None:
    """Send a write that must be refused and change nothing: its values are never possible."""
    key, rng = actor.draw_id(), actor.rng
    value = vector_value(actor, server, key)
    good = _line(key, value)
    wrong = rng.choice(
        (
            Request("PUT", f"/clips/{key}", None, b"no audio", {"content-type": "audio/wav"}),
            Request("PUT", f"/clips/{key}", None, b"", {"content-type": "audio/wav"}),
            Request("POST", "/clips/bulk", None, good + b"\n{", NDJSON),
            Request("POST", "/clips/bulk", None, good + b"\n" + good, NDJSON),
            Request("POST", "/clips/bulk", None, good.replace(b"fingerprint", b"finger"), NDJSON),
            Request(
                "PUT",
                f"/clips/{key}",
                {"metadata": '{"nested": {"a": 1}}'},
                rng.choice(actor.sounds).data,
                {"content-type": "audio/wav"},
            ),
        )
    )
    try:
        answer = actor.send(server, wrong)
    except (NotSentError, NoAnswerError):
        return
    if answer.status < 400:
        actor.model.report("wrong", key, f"{wrong} must be refused and answered {answer.status}")


def _line(key: str, value: Value) -> bytes:
    line = {
        "id": key,
        "embedding": value.vector,
        "fingerprint": value.fingerprint,
        "metadata": value.metadata,
    }
    return json.dumps(line).encode()


def _check_existence(
    actor: Actor, values: Mapping[str, Value], request: Request, answer: Answer
) -> None:
    """Check that what an answer says of the clip before the write can be."""
    if len(values) > 1 or request.path == "/clips/bulk":
        return
    ((key, value),) = values.items()

    def was_there(before: Value) -> bool:
        return is_present(before) and before is not value

    matches = is_absent if answer.status == 201 else was_there
    what = f"{request} answered {answer.status}"
    actor.model.check(key, answer.start, answer.end, matches, what)


def _check_record(actor: Actor, key: str, value: Value, answer: Answer | None) -> None:
    if answer is None:
        return
    record = answer.body["clip"]
    if record["clip_id"] != key or not value.is_record(record):
        actor.model.report("wrong", key, f"{value} was answered with {json.dumps(record)}")
    actor.check_windows(key, record)


def _check_counts(actor: Actor, values: Mapping[str, Value], answer: Answer, begin: float) -> None:
    """Check the numbers of new and of replaced clips."""
    least = most = 0
    for key, value in values.items():
        before = actor.model.possible(key, begin, answer.end)
        was_there = {is_present(each) for each in before if each is not value}
        least += was_there == {False}
        most += False in was_there
    created, updated = answer.body["created"], answer.body["updated"]
    if created + updated != len(values) or not least <= created <= most:
        text = f"bulk of {len(values)}: {created} created and {updated} updated, not {least}-{most}"
        actor.model.report("wrong", next(iter(values)), text)
