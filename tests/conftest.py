"""Fixtures that every test may use, and a header that says what the tests ran on."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import hypothesis
import pytest
import soundfile
import tiny_bundle

from service.bundle.files import load_bundle
from service.inference.encoder import Encoder
from service.inference.onnx_session import available_providers

# The same examples in every run, and none of them timed: the machine may be busy.
hypothesis.settings.register_profile("minuend", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("minuend")


def pytest_report_header() -> str:
    packages = " ".join(f"{name} {version(name)}" for name in ("numpy", "onnxruntime", "soxr"))
    providers = ", ".join(available_providers())
    libsndfile = soundfile.__libsndfile_version__
    return f"{platform.machine()} | {packages} libsndfile {libsndfile} | {providers}"


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete bundle with a tiny encoder; do not write into it."""
    return tiny_bundle.write(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def encoder(tiny_bundle_path: Path) -> Encoder:
    """The encoder of the tiny bundle, in one thread."""
    return Encoder.open(load_bundle(tiny_bundle_path), device="cpu", threads=1)


@pytest.fixture(scope="session")
def towers_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same bundle with tiny towers; do not write into it."""
    return tiny_bundle.write(tmp_path_factory.mktemp("bundles") / "towers", towers=0)
