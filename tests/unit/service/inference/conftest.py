"""The tiny bundle, for tests that do not write into it."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.bundle.files import Bundle, load_bundle
from service.bundle.manifest import EncoderInfo


@pytest.fixture(scope="session")
def bundle(tiny_bundle_path: Path) -> Bundle:
    return load_bundle(tiny_bundle_path)


@pytest.fixture(scope="session")
def info(bundle: Bundle) -> EncoderInfo:
    return bundle.manifest.encoder
