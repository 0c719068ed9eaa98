"""The bill of materials in the image names what the image has, in the versions that were locked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from compose_stack import docker

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LOCKED = Path(__file__).parents[2] / "deploy" / "requirements"
LIST_ALL = (
    "import importlib.metadata as m, json;"
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def canonical(versions: dict[str, str]) -> dict[str, str]:
    return {re.sub("[-_.]+", "-", name).lower(): version for name, version in versions.items()}


@pytest.fixture(scope="module")
def bill(image: str) -> dict[str, Any]:
    read = docker("run", "--rm", image, "cat", "/opt/minuend/sbom.cdx.json")
    return dict(json.loads(read))


@pytest.fixture(scope="module")
def listed(bill: dict[str, Any]) -> dict[str, str]:
    return canonical({each["name"]: each["version"] for each in bill["components"]})


def test_the_bill_is_in_cyclonedx_and_names_packages(bill: dict[str, Any]) -> None:
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert all(each["purl"].startswith("pkg:pypi/") for each in bill["components"])
    assert "file:" not in json.dumps(bill)


def test_the_bill_names_all_that_is_installed(image: str, listed: dict[str, str]) -> None:
    python = "/opt/minuend/bin/python"
    installed = canonical(json.loads(docker("run", "--rm", image, python, "-c", LIST_ALL)))

    assert listed == installed
    assert {"minuend", "numpy", "onnxruntime", "faiss-cpu"} <= set(listed)


def test_what_is_installed_was_locked(listed: dict[str, str]) -> None:
    text = "".join((LOCKED / f"{name}.txt").read_text("utf-8") for name in ("cpu", "otel"))
    locked = canonical(dict(re.findall(r"(?m)^([A-Za-z0-9._-]+)==([^ ]+)", text)))

    assert {**listed, "minuend": ""} == {
        **{name: version for name, version in locked.items() if name in listed},
        "minuend": "",
    }
