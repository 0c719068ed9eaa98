from __future__ import annotations

from pathlib import Path

import pytest
from tiny_library import make_clip, open_library

from service.errors import LibraryError
from service.library.catalog_copy import copy_catalog, stored_audio


def test_a_copy_is_whole_by_itself_and_names_the_audio(tmp_path: Path) -> None:
    library = open_library(tmp_path / "library")
    record, _ = library.put(make_clip("a", 1))
    library.put(make_clip("b", 2, stored=False))
    copy_catalog(tmp_path / "library" / "catalog.sqlite", tmp_path / "copy.sqlite")
    library.put(make_clip("c", 3))

    assert stored_audio(tmp_path / "copy.sqlite") == [record.path]
    assert sorted(p.name for p in tmp_path.glob("copy*")) == ["copy.sqlite"]


def test_what_is_no_catalogue_is_told(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"not a database, but long enough to be read as one" * 20)
    with pytest.raises(LibraryError, match="other"):
        stored_audio(tmp_path / "other")
