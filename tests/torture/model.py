"""What a library may hold: the possible values of each id, by the writes and reads so far.

A write is a candidate for the value of its id from the moment at which its request was sent. It is
over when it was answered or, if no answer came, when its server has ended. Evidence against a
candidate is a write that was acknowledged, or a read of another value, that began after the
candidate was over: once the evidence is complete, no later read may give the candidate. A read must
give a candidate against which there was no complete evidence when it began.

For the ids of one client this is exact: after an acknowledged write there is one candidate; after
a write without an answer there are the value before and the value after, until a read or the next
write decides; and what was once seen to be new never becomes old again. For ids that several
clients write at the same time it accepts every order of the writes that were in progress together.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torture.values import ABSENT, Value

Matches = Callable[[Value], bool]
Kind = str
"""Of a finding: `lost`, if what was acknowledged is not there, or else `wrong`."""


@dataclass(slots=True, eq=False)
class Candidate:
    """A write, as a possible value of its id; times are of one clock [s].

    Attributes:
        value: The value.
        start: When its request was sent.
        end: When it was over; infinite while it may still happen.
        gone: When evidence against it was complete; infinite without.
        server: Number of the server that got it.
    """

    value: Value
    start: float
    end: float = math.inf
    gone: float = math.inf
    server: int = 0

    def may_be_read(self, start: float, end: float) -> bool:
        """Return whether a read that took from `start` to `end` may give the value."""
        return self.start < end and self.gone > start


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that the service must never do."""

    kind: Kind
    key: str
    text: str


@dataclass(slots=True)
class _Bulk:
    """A bulk upload without an answer: all of its lines were stored, or none."""

    candidates: Mapping[str, Candidate] = field(default_factory=dict)


class Model:
    """The possible values of all ids; for any number of threads."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._lock = threading.RLock()
        self._candidates: dict[str, list[Candidate]] = {}
        self._ended: dict[int, float] = {}
        self._bulks: list[_Bulk] = []

    def begin(self, values: Mapping[str, Value], server: int, now: float) -> dict[str, Candidate]:
        """Add a write of one or several ids whose request is about to be sent."""
        with self._lock:
            written = {key: Candidate(value, now, server=server) for key, value in values.items()}
            for key, candidate in written.items():
                self._of(key).append(candidate)
            return written

    def acknowledge(self, written: Mapping[str, Candidate], now: float) -> None:
        """Note that a write was answered with success: whatever was before it is gone."""
        with self._lock:
            for key, candidate in written.items():
                candidate.end = min(candidate.end, now)
                self._against(key, [candidate], candidate.start, now)

    def refuse(self, written: Mapping[str, Candidate]) -> None:
        """Note that a write has not happened and never will."""
        with self._lock:
            for key, candidate in written.items():
                self._candidates[key] = [each for each in self._of(key) if each is not candidate]

    def leave_open(
        self, written: Mapping[str, Candidate], now: float, *, is_over: bool = False
    ) -> None:
        """Note that nobody knows whether a write has happened.

        Args:
            written: The write.
            now: The time.
            is_over: Whether it was answered, so that it cannot happen later.
        """
        with self._lock:
            for candidate in written.values():
                end = now if is_over else self._ended.get(candidate.server, math.inf)
                candidate.end = min(candidate.end, end)
            if len(written) > 1:
                self._bulks.append(_Bulk(dict(written)))

    def server_ended(self, server: int, now: float) -> None:
        """Note that a process has ended: what it has not done by now, it never will."""
        with self._lock:
            self._ended[server] = now
            for candidates in self._candidates.values():
                for candidate in candidates:
                    if candidate.server == server and candidate.end == math.inf:
                        candidate.end = now

    def possible(self, key: str, start: float, end: float) -> list[Value]:
        """Return the values that a read of this time may give."""
        with self._lock:
            return [each.value for each in self._of(key) if each.may_be_read(start, end)]

    def certain(self, key: str, start: float, end: float) -> Value | None:
        """Return the only value that a read of this time may give; None if there are several."""
        with self._lock:
            values = {id(value): value for value in self.possible(key, start, end)}
            return next(iter(values.values())) if len(values) == 1 else None

    def read(self, key: str, start: float, end: float, matches: Matches, what: str) -> bool:
        """Note what a read gave; it is a finding if it could not be.

        Args:
            key: The id.
            start: When the read began.
            end: When its answer was complete.
            matches: Tells whether a value is what was read.
            what: What was read, for people.
        """
        with self._lock:
            possible = [each for each in self._of(key) if each.may_be_read(start, end)]
            read = [each for each in possible if matches(each.value)]
            if not read:
                self._report_read(key, possible, matches, what, start)
                return False
            if len(read) == 1:
                read[0].end = min(read[0].end, end)
            self._against(key, read, start, end)
            return True

    def check(self, key: str, start: float, end: float, matches: Matches, what: str) -> bool:
        """Check, without learning from it, that a value could be there in this time."""
        with self._lock:
            possible = self.possible(key, start, end)
            if any(map(matches, possible)):
                return True
            self.report("wrong", key, f"{what}, which was {_described(possible)}")
            return False

    def report(self, kind: Kind, key: str, text: str) -> None:
        """Add a finding."""
        with self._lock:
            self.findings.append(Finding(kind, key, text))

    def keys(self) -> list[str]:
        """Return all ids that were ever written."""
        with self._lock:
            return list(self._candidates)

    def moments(self, key: str, start: float, end: float) -> list[Candidate]:
        """Return copies of the candidates that a read of this time may give."""
        with self._lock:
            return [
                Candidate(each.value, each.start, each.end, each.gone, each.server)
                for each in self._of(key)
                if each.may_be_read(start, end)
            ]

    def take_settled_bulks(self) -> list[Mapping[str, Candidate]]:
        """Return uploads without an answer that are over and are the last write of each id."""
        with self._lock:
            over = [b for b in self._bulks if all(c.end < math.inf for c in b.candidates.values())]
            self._bulks = [bulk for bulk in self._bulks if bulk not in over]
            return [bulk.candidates for bulk in over if all(map(self._is_last, *_pairs(bulk)))]

    def is_quiet(self) -> bool:
        """Return whether nothing may be written now."""
        with self._lock:
            return all(each.end < math.inf for all_ in self._candidates.values() for each in all_)

    def forget(self, before: float) -> None:
        """Remove candidates that no read from `before` on may give."""
        with self._lock:
            for key, candidates in self._candidates.items():
                self._candidates[key] = [each for each in candidates if each.gone > before]

    def reset(self, values: Mapping[str, Value], now: float) -> None:
        """Let each id have exactly this value, as after going back to a backup."""
        with self._lock:
            self._bulks.clear()
            for key in self._candidates:
                self._candidates[key] = [Candidate(values.get(key, ABSENT), now, now)]

    def _of(self, key: str) -> list[Candidate]:
        never = -math.inf
        return self._candidates.setdefault(key, [Candidate(ABSENT, never, never)])

    def _against(self, key: str, kept: list[Candidate], start: float, end: float) -> None:
        for each in self._of(key):
            if each.end < start and not any(each is other for other in kept):
                each.gone = min(each.gone, end)

    def _is_last(self, key: str, candidate: Candidate) -> bool:
        return all(each.start <= candidate.start for each in self._of(key))

    def _report_read(
        self, key: str, possible: list[Candidate], matches: Matches, what: str, start: float
    ) -> None:
        """Report a read, and go on from what was read if that is known."""
        values = [each.value for each in possible]
        is_there = bool(values) and all(value is not ABSENT for value in values)
        old = [each for each in self._of(key) if each not in possible and matches(each.value)]
        kind = "lost" if is_there and (old or matches(ABSENT)) else "wrong"
        age = ", an older value" if old and old[0].value is not ABSENT else ""
        self.report(kind, key, f"{what}{age}; it must be {_described(values)}")
        if old or matches(ABSENT):
            value = old[0].value if old else ABSENT
            in_progress = [each for each in possible if each.end == math.inf]
            self._candidates[key] = [Candidate(value, start, start), *in_progress]


def _pairs(bulk: _Bulk) -> tuple[Iterable[str], Iterable[Candidate]]:
    return bulk.candidates.keys(), bulk.candidates.values()


def _described(values: list[Value]) -> str:
    return " or ".join(map(str, values)) or "nothing that was ever written"
