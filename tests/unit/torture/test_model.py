"""The model of the possible values accepts what may be and refuses what may not."""

from __future__ import annotations

import pytest
from torture.audit import Seen, _check_bulk, check_moment
from torture.model import Model
from torture.values import ABSENT, Value, is_absent

SERVER = 1
KEY = "clip"


def make_value(version: str) -> Value:
    return Value(version, {"v": version}, "vector")


OLD, NEW, NEWER = map(make_value, ("old", "new", "newer"))


def write(model: Model, value: Value, start: float, end: float, key: str = KEY) -> None:
    """Write with an acknowledgement."""
    model.acknowledge(model.begin({key: value}, SERVER, start), end)


def begin(model: Model, value: Value, start: float, *, cut: float) -> None:
    """Write, and leave without an answer at the time `cut`."""
    model.leave_open(model.begin({KEY: value}, SERVER, start), cut)


def read(model: Model, value: Value, start: float) -> bool:
    """Return whether a read that begins at this time and takes 0.5 may give the value."""
    return model.read(KEY, start, start + 0.5, lambda each: each is value, f"read {value}")


def kinds(model: Model) -> list[str]:
    return [finding.kind for finding in model.findings]


@pytest.fixture
def model() -> Model:
    """A model in which a clip was written from 1 to 2."""
    model = Model()
    write(model, OLD, 1, 2)
    return model


def test_an_acknowledged_write_is_the_only_value(model: Model) -> None:
    assert model.certain(KEY, 3, 4) is OLD
    assert read(model, OLD, 3)


def test_an_acknowledged_write_that_is_gone_is_lost(model: Model) -> None:
    assert not model.read(KEY, 3, 4, is_absent, "read as unknown")
    assert kinds(model) == ["lost"]


def test_an_old_value_after_an_acknowledged_one_is_lost(model: Model) -> None:
    write(model, NEW, 3, 4)
    assert not read(model, OLD, 5)
    assert kinds(model) == ["lost"]


def test_a_value_that_was_never_written_is_wrong(model: Model) -> None:
    assert not read(model, NEWER, 3)
    assert kinds(model) == ["wrong"]


def test_a_clip_that_was_deleted_is_gone(model: Model) -> None:
    write(model, ABSENT, 3, 4)
    assert not read(model, OLD, 5)
    assert kinds(model) == ["wrong"]


def test_a_write_without_an_answer_leaves_both_values_until_one_is_read(model: Model) -> None:
    begin(model, NEW, 3, cut=4)
    assert model.certain(KEY, 5, 6) is None
    assert read(model, OLD, 5)
    assert read(model, NEW, 6)
    assert model.findings == []


def test_what_was_once_new_never_becomes_old_again(model: Model) -> None:
    begin(model, NEW, 3, cut=4)
    assert read(model, NEW, 5)
    assert not read(model, OLD, 6)
    assert kinds(model) == ["lost"]


def test_a_write_may_still_happen_while_its_server_lives(model: Model) -> None:
    begin(model, NEW, 3, cut=4)
    write(model, NEWER, 5, 6)
    assert read(model, NEWER, 7)
    assert read(model, NEW, 8)


def test_a_write_cannot_happen_after_its_server_has_ended(model: Model) -> None:
    begin(model, NEW, 3, cut=4)
    model.server_ended(SERVER, 5)
    assert read(model, OLD, 6)
    assert not read(model, NEW, 7)
    assert kinds(model) == ["lost"]


def test_a_write_of_a_dead_server_that_is_noted_late_is_over(model: Model) -> None:
    written = model.begin({KEY: NEW}, SERVER, 3)
    model.server_ended(SERVER, 5)
    model.leave_open(written, 6)
    write(model, NEWER, 7, 8)
    assert not read(model, NEW, 9)


def test_a_write_that_was_answered_with_an_error_cannot_happen_later(model: Model) -> None:
    model.leave_open(model.begin({KEY: NEW}, SERVER, 3), 4, is_over=True)
    assert read(model, OLD, 5)
    assert not read(model, NEW, 6)


def test_a_refused_write_never_happens(model: Model) -> None:
    model.refuse(model.begin({KEY: NEW}, SERVER, 3))
    assert model.certain(KEY, 4, 5) is OLD
    assert not read(model, NEW, 4)


def test_writes_at_the_same_time_may_have_either_order(model: Model) -> None:
    first = model.begin({KEY: NEW}, SERVER, 3)
    second = model.begin({KEY: NEWER}, SERVER, 4)
    model.acknowledge(first, 5)
    model.acknowledge(second, 6)
    assert model.certain(KEY, 7, 8) is None
    assert read(model, NEW, 7)
    assert not read(model, NEWER, 8)


def test_a_read_at_the_time_of_a_write_may_give_either_value(model: Model) -> None:
    written = model.begin({KEY: NEW}, SERVER, 3)
    assert read(model, OLD, 3.1)
    assert read(model, NEW, 3.2)
    model.acknowledge(written, 4)
    assert model.findings == []


def test_going_back_to_a_backup_makes_its_values_the_only_ones(model: Model) -> None:
    write(model, NEW, 3, 4)
    begin(model, NEWER, 5, cut=6)
    model.reset({KEY: OLD}, 7)
    assert model.certain(KEY, 8, 9) is OLD


def test_forgotten_candidates_are_those_that_cannot_be_read(model: Model) -> None:
    begin(model, NEW, 3, cut=4)
    model.forget(5)
    assert model.possible(KEY, 5, 6) == [OLD, NEW]


def seen(value: Value) -> Seen:
    record = {"metadata": value.metadata, "source": "vector", "sha256": None, "audio": None}
    return Seen(record, None, None)


def test_a_bulk_upload_that_is_stored_in_part_is_found() -> None:
    model = Model()
    model.leave_open(model.begin({"a": OLD, "b": NEW}, SERVER, 1), 2)
    assert model.take_settled_bulks() == [], "it may still happen"
    model.server_ended(SERVER, 3)
    (bulk,) = model.take_settled_bulks()
    for stored in ({}, {"a": seen(OLD), "b": seen(NEW)}):
        _check_bulk(model, bulk, stored)
    assert model.findings == []
    _check_bulk(model, bulk, {"a": seen(OLD)})
    assert kinds(model) == ["wrong"]


def test_a_bulk_upload_is_not_judged_after_a_later_write() -> None:
    model = Model()
    model.leave_open(model.begin({"a": OLD, "b": NEW}, SERVER, 1), 2)
    model.server_ended(SERVER, 3)
    write(model, NEWER, 4, 5, "a")
    assert model.take_settled_bulks() == []


def test_a_backup_has_the_state_of_one_moment() -> None:
    model = Model()
    write(model, OLD, 1, 2, "a")
    write(model, NEW, 3, 4, "b")
    for state in ({}, {"a": seen(OLD)}, {"a": seen(OLD), "b": seen(NEW)}):
        check_moment(model, state, 0, 5)
    assert model.findings == []
    check_moment(model, {"b": seen(NEW)}, 0, 5)
    assert kinds(model) == ["wrong"]


def test_a_backup_without_what_was_acknowledged_before_it_is_found() -> None:
    model = Model()
    write(model, OLD, 1, 2)
    assert check_moment(model, {KEY: seen(OLD)}, 3, 4) == {KEY: OLD}
    check_moment(model, {}, 3, 4)
    assert kinds(model) == ["lost"]
