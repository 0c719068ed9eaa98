"""`minuend index`: folders of sounds that are imported while the clients write."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture import writes
from torture.actor import Actor
from torture.connection import Request
from torture.server import Command, Outcome, Server, now
from torture.values import ABSENT, KINDS, Content, Value

SUFFIXES = {"audio/wav": ".wav", "audio/flac": ".flac"}


class Folder:
    """A folder of sounds with a table of metadata; only this class writes the ids of its sounds.

    Args:
        actor: Owns the sounds, and sends the deletions.
        path: The folder, which is made.
        copy: Whether the library keeps copies of the files.

    Attributes:
        actor: The same.
    """

    def __init__(self, actor: Actor, path: Path, *, copy: bool) -> None:
        self.actor = actor
        self._path = path
        self._copy = copy
        self._rows: dict[str, dict[str, str]] = {}
        self._n_versions = 0
        path.mkdir()
        for number, sound in enumerate(actor.sounds):
            (path / _file_name(number, sound)).write_bytes(sound.data)

    @property
    def name(self) -> str:
        """The writer in the metadata of its clips."""
        return self.actor.name

    @property
    def keys(self) -> list[str]:
        """The ids of the sounds."""
        return [sound.derived_id for sound in self.actor.sounds]

    def delete_some(self, server: Server) -> None:
        """Remove some of the clips through the API."""
        for key in self.keys:
            if self.actor.rng.random() < 0.2:
                request = Request("DELETE", f"/clips/{key}")
                writes.write(self.actor, server, {key: ABSENT}, request)

    def run(self, server: Server, wait: Callable[[Command], Outcome]) -> None:
        """Import the folder, with new metadata for some of its files.

        Args:
            server: Serves the library, with the encoder to use.
            wait: Waits for the import, or kills it.
        """
        model, start = self.actor.model, now()
        new = {}
        for number, sound in enumerate(self.actor.sounds):
            value = model.certain(sound.derived_id, start, start + 1e-9)
            if not self._is_in_table(number, sound, value) or self.actor.rng.random() < 0.3:
                new[sound.derived_id] = self._new_value(number, sound)
        table = self._write_table()
        words: list[str | Path] = ["index", self._path, "--metadata", table, "--json"]
        words += ["--library", server.library, "--bundle", server.bundle.path]
        number = -(server.number * 1000 + self._n_versions)
        written = model.begin(new, number, now())
        command = Command(*words, *(["--copy"] if self._copy else []))
        outcome = wait(command)
        model.server_ended(number, now())
        if outcome.code is None:
            model.leave_open(written, now(), is_over=True)
            return
        model.acknowledge(written, now())
        self._check(outcome, len(new), str(command))

    def _check(self, outcome: Outcome, n_new: int, command: str) -> None:
        model = self.actor.model
        if outcome.code != 0:
            model.report("wrong", "", f"{command} ended with {outcome.code}: {outcome.error}")
            return
        body: dict[str, Any] = json.loads(outcome.out)
        n_files = len(self.actor.sounds)
        counted = body["added"] + body["updated"], body["unchanged"]
        if counted != (n_new, n_files - n_new):
            model.report("wrong", "", f"{command} counts {body} for {n_new} of {n_files} files")

    def _new_value(self, number: int, sound: Content) -> Value:
        self._n_versions += 1
        name = _file_name(number, sound)
        row = {"v": f"{self.actor.name}.{self._n_versions}", "writer": self.actor.name}
        row["kind"] = self.actor.rng.choice(KINDS)
        self._rows[name] = row
        metadata = {"name": name, "folder": ".", **row}
        return Value(row["v"], metadata, "stored" if self._copy else "referenced", sound)

    def _is_in_table(self, number: int, sound: Content, value: Value | None) -> bool:
        """Return whether an import leaves a clip as it is; after a restore, it does not."""
        row = self._rows.get(_file_name(number, sound))
        return value is not None and row is not None and value.version == row["v"]

    def _write_table(self) -> Path:
        table = self._path / "table.csv"
        with table.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, ["file", "v", "writer", "kind"])
            writer.writeheader()
            writer.writerows({"file": name, **row} for name, row in self._rows.items())
        return table


def _file_name(number: int, sound: Content) -> str:
    return f"{number}{SUFFIXES[sound.media_type]}"
