from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from service.errors import SettingsError
from service.settings import Settings, load_settings


def test_settings_come_from_variables_with_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUEND_MAX_SECONDS", "12.5")
    monkeypatch.setenv("MINUEND_LIBRARY", "/srv/clips")

    settings = load_settings()

    assert settings.max_seconds == 12.5
    assert settings.library == Path("/srv/clips")


def test_a_misspelt_variable_stops_the_start_and_is_corrected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MINUEND_MAX_SECOND", "12")

    with pytest.raises(SettingsError, match="did you mean MINUEND_MAX_SECONDS") as caught:
        load_settings()

    assert all(f"MINUEND_{name.upper()}" in str(caught.value) for name in Settings.model_fields)


def test_all_faults_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUEND_PORT", "http")
    monkeypatch.setenv("MINUEND_MAX_K", "0")
    monkeypatch.setenv("MINUEND_SPEED", "11")

    with pytest.raises(SettingsError) as caught:
        load_settings()

    for fault in ("MINUEND_PORT", "'http'", "MINUEND_MAX_K", "MINUEND_SPEED"):
        assert fault in str(caught.value)


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINUEND_LIBRARY", "")

    assert load_settings().library == Path("library")


def test_traces_are_sent_where_opentelemetry_has_an_endpoint_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    assert load_settings().traces is False
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert load_settings().traces is True
    monkeypatch.setenv("MINUEND_TRACES", "false")
    assert load_settings().traces is False


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "port", 1)  # noqa: B010 - what type checkers refuse is tried
