"""Settings of the service: one frozen `Settings`, read from variables that start with MINUEND_."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import SettingsError

PREFIX = "MINUEND_"
TRACES_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Variables of OpenTelemetry; traces are sent if one of them is set."""

KIBIBYTE = 1024
MEBIBYTE = 1024 * KIBIBYTE
TEBIBYTE = 1024 * 1024 * MEBIBYTE


class Settings(BaseSettings):
    """The settings of one process; each field is the variable MINUEND_<FIELD>."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid"
    )

    bundle: Path = Field(Path("models/default"), description="Folder of the bundle to serve.")
    library: Path = Field(Path("library"), description="Folder of the clip library.")
    create: bool = Field(
        True, description="Whether a library is made where the folder is missing or empty."
    )
    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(
        8000, ge=0, le=65535, description="TCP port to listen on; 0 takes a free one."
    )
    keys: Path | None = Field(
        None, description="File of API keys (`minuend key`); without one everybody may do all."
    )
    cors_origins: str = Field(
        "", description="Other sites whose pages may call the service, with commas; none if empty."
    )
    allowed_hosts: str = Field(
        "",
        description="Host names that it answers for, with commas; * for all. Loopback names, IP"
        " addresses and `host` always are, and all names are if there are keys.",
    )
    device: Literal["auto", "cpu", "cuda", "tensorrt"] = Field(
        "auto",
        description="Where the encoder runs; cuda and tensorrt fail without, auto falls back.",
    )
    precision: Literal["auto", "fp32", "int8", "fp16"] = Field(
        "auto",
        description="Arithmetic of the encoder; auto takes the fastest that passes its check here.",
    )
    threads: int = Field(
        0, ge=0, le=1024, description="Threads of one encoder run; 0 takes one per core."
    )
    runs: int = Field(
        0, ge=0, le=64, description="Encoder runs at once under load; 0: one per core, up to 4."
    )
    batch_s: float = Field(10.0, gt=0, le=600, description="Audio that is encoded in one run [s].")
    spinning: bool = Field(
        True, description="Whether the threads of an encoder run wait for each other in a loop."
    )
    arena: bool = Field(True, description="Whether the encoder keeps its memory from run to run.")
    decoders: int = Field(2, ge=1, le=256, description="Files that are decoded at once.")
    decode: Literal["auto", "process", "thread"] = Field(
        "auto",
        description="Where the service decodes; process fails where confined child processes are"
        " not possible, auto falls back to threads.",
    )
    cache_bytes: int = Field(
        64 * MEBIBYTE,
        ge=0,
        le=TEBIBYTE,
        description="Embeddings kept by content; 0 keeps none [bytes].",
    )
    deadline_s: float = Field(
        60.0, gt=0, le=86_400, description="Longest wait for an answer; then it is a 504 [s]."
    )
    max_requests: int = Field(
        64, ge=1, le=10_000, description="Requests with a body at once; more get a 503."
    )
    max_pending_bytes: int = Field(
        512 * MEBIBYTE, ge=1, le=TEBIBYTE, description="Bytes of all their bodies; more get a 503."
    )
    max_body_bytes: int = Field(
        256 * MEBIBYTE, ge=KIBIBYTE, le=TEBIBYTE, description="Largest request body [bytes]."
    )
    body_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="Longest pause of a client in its body or an answer [s]."
    )
    min_body_bytes_per_s: float = Field(
        1024.0,
        ge=0,
        le=1e9,
        description="Least mean rate of a body after the longest pause [bytes/s].",
    )
    head_timeout_s: float = Field(
        10.0, gt=0, le=3600, description="Longest time for a request line and headers [s]."
    )
    max_connections: int = Field(
        4096, ge=1, le=1_000_000, description="Most open connections; idle ones make room."
    )
    max_seconds: float = Field(1800.0, gt=0, le=86_400, description="Longest clip [s].")
    max_samples: int = Field(
        57_600_000, ge=1, le=10**12, description="Most samples of one request, after resampling."
    )
    max_files: int = Field(32, ge=1, le=1000, description="Most audio files in one request.")
    window_s: float = Field(
        10.0,
        ge=1,
        le=86_400,
        description="Longer clips are also indexed as windows of this length, one every half [s].",
    )
    max_windows: int = Field(
        1000, ge=1, le=100_000, description="Most windows in one time-resolved answer."
    )
    max_bulk_clips: int = Field(
        10_000, ge=1, le=1_000_000, description="Most lines of one bulk upload."
    )
    max_k: int = Field(1000, ge=1, le=1000, description="Most hits of one search.")
    scrub_days: float = Field(
        7.0,
        ge=0,
        le=3650,
        description="Days in which the whole library is checked for damage once; 0 never [days].",
    )
    traces: bool = Field(
        default_factory=lambda: any(map(os.environ.get, TRACES_ENDPOINTS)),
        description="Whether traces are sent by OTLP; on where OTEL_EXPORTER_OTLP_ENDPOINT is set.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged."
    )
    reserve_bytes: int = Field(
        16 * MEBIBYTE,
        ge=0,
        le=TEBIBYTE,
        description="Room kept in the library for deletions on a full disk; 0: none [bytes].",
    )
    shutdown_grace_s: int = Field(
        30, ge=0, le=3600, description="Longest wait for running requests at shutdown [s]."
    )


def load_settings(**overrides: Any) -> Settings:
    """Read the settings from the environment.

    Args:
        **overrides: Fields that take precedence over the environment, such as command-line options.

    Raises:
        SettingsError: A variable is unknown or has a value that is not allowed; all are listed.
    """
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    given = sorted(name for name in os.environ if name.upper().startswith(PREFIX))
    faults = [_unknown(name, known) for name in given if name.upper() not in known]
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        faults += [
            f"{PREFIX}{'.'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            f" (got {fault['input']!r})"
            for fault in error.errors()
        ]
        raise SettingsError("; ".join(faults)) from error
    if faults:
        raise SettingsError("; ".join([*faults, "known are " + ", ".join(known)]))
    return settings


def _unknown(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.upper(), known, n=1)
    return f"unknown setting {name}" + (f", did you mean {near[0]}?" if near else "")
