"""Hook of MkDocs that replaces links to files outside of `docs/`.

Pages are also read in the repository, where such links work. The site does not have these files,
so a link becomes the name of the file. A link to a missing file stays, and the strict build refuses
it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)\s]*)?\)")
NOTE = re.compile(r"^```(\w+) untested: .*$", re.MULTILINE)


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Replace links to files outside of `docs/`, and remove the notes for the tests."""
    docs = Path(config.docs_dir).resolve()
    folder = (docs / page.file.src_uri).parent

    def name(found: re.Match[str]) -> str:
        target = (folder / found[2]).resolve()
        if target.is_relative_to(docs) or not target.exists():
            return found[0]
        path = target.relative_to(docs.parent)
        return found[1] if found[1].strip("`") in str(path) else f"{found[1]} (`{path}`)"

    return NOTE.sub(r"```\1", LINK.sub(name, markdown))
