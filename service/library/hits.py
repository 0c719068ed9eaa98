"""The hits of a search, with the records of their clips."""

from __future__ import annotations

from dataclasses import dataclass, field

from service.catalog.catalog import Catalog
from service.clips import ClipRecord
from service.library.synced_index import IndexHits
from service.row_ids import are_whole

Span = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Hit:
    """A clip, or one of its windows, that a search found.

    Attributes:
        record: The clip.
        score: Inner product of the query and a unit vector, -1 to 1: the higher one of the clip
            and of its nearest window; of the window where every window is a hit.
        start_s: Start of the nearest window in the clip [s]; 0 for a clip without windows, None
            for a clip of unknown length.
        end_s: End of the nearest window [s]; the length of a clip without windows.
        shares: Inner product of each term of the query with the scored vector, by the term's name.
    """

    record: ClipRecord
    score: float
    start_s: float | None = None
    end_s: float | None = None
    shares: dict[str, float] = field(default_factory=dict)


def read_hits(catalog: Catalog, found: IndexHits, *, until: int) -> list[Hit]:
    """Add records to the hits of an index; clips that were changed or deleted are left out.

    A record is therefore of the content that was found, and passes the filter of the search.

    Args:
        catalog: The catalogue of the clips.
        found: Hits of a search that began after the revision `until`.
        until: Clips that were changed by a write after this revision are left out.
    """
    seqs, is_whole = found.seqs, are_whole(found.rows)
    # Spans first: those of a clip that is then unchanged are its own.
    spans: dict[int, Span] = {**catalog.spans(found.rows[~is_whole].tolist())}
    records = catalog.records(set(seqs.tolist()), until=until)
    for row, seq in zip(found.rows[is_whole].tolist(), seqs[is_whole].tolist(), strict=True):
        if seq in records:
            duration_s = records[seq].duration_s
            spans[row] = (None if duration_s is None else 0.0), duration_s
    return [
        Hit(
            records[seq],
            float(found.scores[rank]),
            *spans[row],
            {name: float(shares[rank]) for name, shares in found.shares.items()},
        )
        for rank, (row, seq) in enumerate(zip(found.rows.tolist(), seqs.tolist(), strict=True))
        if seq in records and row in spans
    ]
