"""Protocol `unknown`: does a search say when it does not know a text?

A text is flagged if its search has the notice ``modifier_unknown``. The requests of the protocol
``text_only`` and the plain names of ``texts.yaml`` should not be flagged; its nonsense (letters,
abstract terms, other languages, things without a sound, computer languages) should be. A bundle
that never gives the notice flags nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from training.evaluation.words.figures import mean
from training.evaluation.words.search import Search
from training.evaluation.words.tables import Request, Texts

NOTICE = "modifier_unknown"


def measure(search: Search, requests: Sequence[Request], texts: Texts) -> dict[str, Any]:
    """Search for each text.

    Returns:
        The flagged share of ``requests``, of known ``names``, of both (``known``), of all
        ``nonsense`` and of its ``groups``; and the known texts that were flagged.
    """
    asked = {request.text: _flag(search, request.text) for request in requests}
    names = {name.text: _flag(search, name.text) for name in texts.known}
    groups = {
        group: [_flag(search, text) for text in of_group]
        for group, of_group in texts.nonsense.items()
    }
    known = asked | names
    return {
        "requests": mean(list(asked.values())),
        "names": mean(list(names.values())),
        "known": mean(list(known.values())),
        "nonsense": mean([flag for flags in groups.values() for flag in flags]),
        "groups": {group: mean(flags) for group, flags in groups.items()},
        "flagged_known": [text for text, flag in known.items() if flag],
    }


def _flag(search: Search, text: str) -> float:
    return float(NOTICE in search.notices(text))
