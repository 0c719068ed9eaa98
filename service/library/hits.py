"""What a search found, as the catalogue tells of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.catalog.catalog import Catalog
from service.clips import ClipRecord
from service.library.synced_index import Found
from service.row_ids import are_whole

Span = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A clip found, or a window of it.

    Attributes:
        record: The clip.
        score: Inner product of the query and a unit vector, -1 to 1: of the clip or of its nearest
            window, whichever is nearer; of the window where every window is a hit.
        start_s: Where the nearest window begins; 0 for a clip without windows, None for one whose
            length is not known [s].
        end_s: Where it ends; the clip's length for a clip without windows [s].
        shares: Inner product of each term of the query with what was scored, by the term's name.
    """

    record: ClipRecord
    score: float
    start_s: float | None = None
    end_s: float | None = None
    shares: dict[str, float] = field(default_factory=dict)


def read_hits(catalog: Catalog, found: Found) -> list[Hit]:
    """Return the hits of a search; clips that were changed or deleted meanwhile may be missing."""
    records = catalog.records(set(found.seqs.tolist()))
    is_whole = are_whole(found.rows)
    spans: dict[int, Span] = {**catalog.spans(found.rows[~is_whole].tolist())}
    for row, seq in zip(found.rows[is_whole].tolist(), found.seqs[is_whole].tolist(), strict=True):
        if seq in records:
            spans[row] = _whole(records[seq])
    return [
        Hit(
            records[seq],
            float(found.scores[rank]),
            *spans[row],
            {name: float(shares[rank]) for name, shares in found.shares.items()},
        )
        for rank, (row, seq) in enumerate(
            zip(found.rows.tolist(), found.seqs.tolist(), strict=True)
        )
        if seq in records and row in spans
    ]


def _whole(record: ClipRecord) -> Span:
    return (None if record.duration_s is None else 0.0), record.duration_s
