"""What the image installs: one version of each distribution, by its hash, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = ROOT / "deploy" / "requirements"
OF_IMAGE = ("cpu", "gpu", "otel", "aac")
TORCH_PINS = re.compile(r"(nvidia|cuda)-.*|triton")
_PINNED = re.compile(
    r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)(?: ; [^\\]+)? \\\n"
    r"((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)"
)


def locked(name: str) -> dict[str, str]:
    """Return the version of each distribution of a file, which holds nothing but these."""
    text = (LOCKED / f"{name}.txt").read_text("utf-8")
    lines = "".join(line for line in text.splitlines(keepends=True) if line[0] != "#")
    assert _PINNED.sub("", lines) == ""
    return {canonicalize_name(found[0]): found[1] for found in _PINNED.findall(lines)}


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def needed(name: str, extras: tuple[str, ...] = ("",)) -> Iterator[str]:
    """Yield what a distribution needs here, with all that this needs; once or more often."""
    seen: set[tuple[str, str]] = set()
    waiting = [(name, extra) for extra in extras]
    while waiting:
        name, extra = pair = waiting.pop()
        if pair in seen:
            continue
        seen.add(pair)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        for requirement in map(Requirement, found.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                yield canonicalize_name(requirement.name)
                waiting += [(requirement.name, more) for more in ("", *requirement.extras)]


@pytest.mark.parametrize("name", [*OF_IMAGE, "build", "audit"])
def test_locked_versions_are_those_of_ci(name: str) -> None:
    pins = constraints()

    versions = locked(name)

    assert versions
    assert {it: versions[it] for it in versions if it in pins and versions[it] != pins[it]} == {}


def test_the_files_of_the_image_agree() -> None:
    versions: dict[str, str] = {}
    for name in OF_IMAGE:
        for distribution_name, version in locked(name).items():
            assert versions.setdefault(distribution_name, version) == version


@pytest.mark.parametrize("extra", ["cpu", "otel", "aac"])
def test_all_that_an_extra_needs_is_locked(extra: str) -> None:
    assert set(needed("minuend", ("", extra))) <= set(locked(extra))


def test_all_that_the_gpu_needs_directly_is_locked() -> None:
    direct = {canonicalize_name(name) for name in ("onnxruntime-gpu", "faiss-gpu")}

    assert set(needed("minuend")) | direct <= set(locked("gpu"))


def test_all_that_the_build_needs_is_locked() -> None:
    for line in (LOCKED / "build.in").read_text("utf-8").splitlines():
        assert line.startswith("#") or line in locked("build")


def test_constraints_pin_what_every_extra_needs() -> None:
    extras = distribution("minuend").metadata.get_all("Provides-Extra") or ()
    assert "dev" in extras

    missing = {name for name in needed("minuend", ("", *extras)) if name not in constraints()}

    assert {name for name in missing if not TORCH_PINS.fullmatch(name)} == set()


def test_every_installation_of_the_image_checks_hashes_or_uses_what_was_built() -> None:
    joined = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    commands = re.split(r"&&|;|\n", joined)

    installing = [it for it in commands if re.search(r"\bpip\b.* (install|download) ", it)]

    assert len(installing) == 3
    for command in installing:
        checks = "--require-hashes" in command and "--only-binary :all:" in command
        assert checks or "--no-index --no-deps" in command
