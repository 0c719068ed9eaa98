"""Names of stored audio files: `audio/<2 hex>/<sha256><extension>`, relative to the library.

A catalogue may be damaged, or restored from a backup of somebody else. A path that it holds is
therefore opened, linked or removed only if it has this form and names the digest of its clip.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"audio/([0-9a-f]{2})/(\1[0-9a-f]{62})(\.[A-Za-z0-9]{1,16})?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_EXTENSION = re.compile(r"(\.[A-Za-z0-9]{1,16})?")


def stored_name(sha256: str, extension: str) -> str:
    """Return the name of a stored audio file.

    Raises:
        ValueError: The digest or the extension could not name a file.
    """
    if not _DIGEST.fullmatch(sha256) or not _EXTENSION.fullmatch(extension):
        raise ValueError(f"no file can be named {sha256!r} + {extension!r}")
    return f"audio/{sha256[:2]}/{sha256}{extension}"


def digest_of(name: str) -> str | None:
    """Return the digest in the name of a stored file; None if no stored file has such a name."""
    match = _NAME.fullmatch(name)
    return match and match.group(2)


def is_name_of(name: str, sha256: str | None) -> bool:
    """Tell whether this is the name of the stored file with this digest."""
    return sha256 is not None and digest_of(name) == sha256
