"""A hook of MkDocs: what of a page means something in the repository alone.

Pages are read in the repository too, where they link to files outside of `docs/`. The site has not
got those, so such a link becomes the name of the file. A link to a file that is nowhere is left as
it is, for the strict build to refuse.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")
NOTE = re.compile(r"^```(\w+) untested: .*$", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Rewrite the links that lead outside, and drop the notes for the tests."""
    docs = Path(config.docs_dir).resolve()
    folder = (docs / page.file.src_uri).parent

    def name(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return found[0]
        path = target.relative_to(docs.parent)
        return found[1] if found[1].strip("`") in str(path) else f"{found[1]} (`{path}`)"

    return NOTE.sub(r"```\1", LINK.sub(name, markdown))
