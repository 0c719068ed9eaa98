"""The new layout changes nothing that users see: compared with files written before the move."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from service import errors
from service.app import create_app
from service.bundle.files import load_bundle
from service.observability.metrics import Metrics
from service.settings import Settings

BEFORE = Path(__file__).parent / "before"


def before(name: str) -> Any:
    return json.loads((BEFORE / f"{name}.json").read_text("utf-8"))


def test_the_schema_of_the_api() -> None:
    schema = create_app(Settings()).openapi()

    assert json.loads(json.dumps(schema)) == before("openapi")


def test_the_settings() -> None:
    now = {
        name: [str(field.annotation), str(field.default), field.description, str(field.metadata)]
        for name, field in Settings.model_fields.items()
    }

    assert now == before("settings")


def test_the_error_codes() -> None:
    def below(kind: type[errors.ServiceError]) -> set[type[errors.ServiceError]]:
        return {kind}.union(*map(below, kind.__subclasses__()))

    now = {
        (kind.code, kind.status, kind.title)
        for kind in below(errors.ServiceError)
        if hasattr(kind, "code")
    }

    assert now == {tuple(row) for row in before("errors") if row[0]}


def test_the_metrics() -> None:
    now = {(family.name, family.type) for family in Metrics()._registry.collect()}

    assert {(name, kind) for name, kind, _ in before("metrics")} <= now


def test_the_fingerprints_of_the_shipped_bundle() -> None:
    manifest = load_bundle(Path("models/default")).manifest

    assert manifest.towers is not None
    assert before("fingerprints") == {
        "encoder": manifest.encoder.fingerprint,
        "towers": manifest.towers.fingerprint,
    }
