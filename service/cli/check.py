"""`minuend check`: verify a bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from service.cli.options import json_option, settings_options
from service.cli.output import json_text, quiet

if TYPE_CHECKING:
    from service.bundle.files import Bundle
    from service.inference.towers import Towers
    from service.settings import Settings

Say = Callable[[str], object]


@click.command("check", epilog="Example: minuend check models/default")
@click.argument("bundle", required=False, type=click.Path(path_type=Path))
@json_option
@settings_options("device")
def command(*, bundle: Path | None, as_json: bool, settings: Settings) -> None:
    """Verify a bundle: its files, its graphs, and their output for a known clip and text.

    Without an argument, the bundle of the settings (MINUEND_BUNDLE; models/default) is verified.
    Exit code 1 means that the bundle must not be used; the reason is on standard error.
    """
    from service.bundle.files import MANIFEST_FILE
    from service.loading import open_bundle, open_towers
    from service.retrieval.change_detector import ChangeDetector

    if bundle is not None:
        settings = settings.model_copy(update={"bundle": bundle})
    say = quiet if as_json else click.echo
    opened = open_bundle(settings)
    manifest = opened.manifest
    info = manifest.encoder
    say(f"bundle {manifest.id} of {manifest.created} in {opened.path}")
    if manifest.manifest_sha256 is not None:
        say(f"ok  {MANIFEST_FILE}: its own sha256 {manifest.manifest_sha256}")
    for name, entry in manifest.files.items():
        say(f"ok  {name}: {entry.size_bytes} bytes, sha256 {entry.sha256}")
    encoders = _check_encoders(opened, settings, say)
    towers = open_towers(opened, settings)
    if towers is not None:
        towers.check(opened)
        _print_towers(towers, info.dim, say)
    detector = ChangeDetector.open(opened)
    if detector is not None and manifest.change is not None:
        detector.check(opened)
        say(
            f"ok  {manifest.change.file}: whether something was added, at a false-alarm rate of"
            f" {manifest.change.false_alarm_rate:g}; the known score"
        )
    say(f"encoder {info.fingerprint}")
    if towers is not None:
        say(f"towers  {towers.info.fingerprint}")
    if as_json:
        files = {name: entry.model_dump() for name, entry in manifest.files.items()}
        body = {"bundle": manifest.id, "created": manifest.created, "path": str(opened.path)}
        fingerprints = {"encoder": info.fingerprint, "towers": towers and towers.info.fingerprint}
        click.echo(
            json_text({**body, "files": files, "encoders": encoders, "fingerprints": fingerprints})
        )


def _check_encoders(bundle: Bundle, settings: Settings, say: Say) -> list[dict[str, str]]:
    """Check the encoder and its variants; return precision and provider of each."""
    from service.inference.encoder import Encoder

    info, encoders = bundle.manifest.encoder, []
    for checked in (bundle, *(replace(bundle, variant=variant) for variant in info.variants)):
        encoder = Encoder.open(checked, device=settings.device, threads=settings.threads)
        say(
            f"ok  {checked.encoder_file.name}: waveform [batch, samples] at"
            f" {info.sample_rate_hz} Hz and lengths [batch] to embedding [batch, {info.dim}],"
            f" sums and maxima [batch, partials, {info.dim}]; runs on {encoder.provider}"
        )
        encoder.check(checked)
        encoders.append({"precision": checked.precision, "provider": encoder.provider})
        say(
            f"ok  {bundle.manifest.known_answer.file}: the known answer in {checked.precision},"
            f" within {checked.tolerance:g} of its largest value"
        )
    return encoders


def _print_towers(towers: Towers, embedding_dim: int, say: Say) -> None:
    info, dim = towers.info, towers.info.dim
    say(
        f"ok  {info.audio_tower}: embedding [batch, {embedding_dim}] to vector [batch, {dim}];"
        f" runs on {towers.audio.provider}"
    )
    say(
        f"ok  {info.text_encoder}: input_ids and attention_mask [batch, tokens] to vector"
        f" [batch, {dim}]; weights in {info.text_precision}"
    )
    say(f"ok  {info.tokenizer}: texts of up to {info.max_tokens} tokens")
    say(f"ok  {info.text_bank}: {len(towers.bank)} phrases")
    tolerance = info.known_answer.tolerance
    say(
        f"ok  {info.known_answer.file}: the known answers, within {tolerance:g} of their largest"
        " value"
    )
