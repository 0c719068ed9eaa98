"""The requests of the demo, and its printed explanation of the answers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import click

import service.cli.demo
from service.bundle.files import hash_file
from service.cli.demo.call import Call
from service.cli.demo.mixture import write_mixture
from service.cli.demo.server import Server
from service.cli.output import shown_path
from service.clips import Metadata
from service.library.folder import read_metadata
from service.library.upload import ID_DIGITS

CLIPS = Path(service.cli.demo.__file__).parent / "clips"
TABLE = CLIPS.with_suffix(".csv")

EXAMPLE = CLIPS / "cat-old.ogg"
BACKGROUND, ADDED = CLIPS / "wind-gusts.ogg", CLIPS / "birds-wood.ogg"
OTHER_BACKGROUND, OTHER_ADDED = CLIPS / "sea-surf.ogg", CLIPS / "siren-wail.ogg"

N_HITS = 5
_COLUMN = 44


class Tour:
    """Sends the requests of the demo to a service with the demo clips, and prints the answers.

    Args:
        server: The service.
        scratch: Folder for temporary files.
        say: Prints a line.

    Attributes:
        answers: Path and answer of each request, in order.
    """

    def __init__(self, server: Server, scratch: Path, say: Callable[[str], object]) -> None:
        self.answers: list[dict[str, Any]] = []
        self._server = server
        self._scratch = scratch
        self._say = say
        self._table = read_metadata(TABLE)

    def embed(self) -> None:
        """Embed a clip."""
        self._say("\n1. A sound as numbers: its embedding")
        body = self._send(Call("/embed", files={"audio": EXAMPLE}))
        clip = body["embeddings"][0]
        numbers = ", ".join(f"{value:.3f}" for value in clip["embedding"][:6])
        self._say(f"   {len(clip['embedding'])} numbers: {numbers}, ...")
        self._say(f"   of {clip['duration_s']:.1f} s of sound ({clip['media_type']})")

    def subtract(self) -> None:
        """Search by a mixture, and by the mixture minus its background."""
        self._say("\n2. What is new: a mixture minus its background")
        mixture = self._mix("mixture.wav", BACKGROUND, ADDED)
        plain = self._send(Call("/search", {"audio": mixture}, {"k": N_HITS}))
        found = self._send(
            Call("/difference", {"mixture": mixture, "reference": BACKGROUND}, {"k": N_HITS})
        )
        self._say(
            f"   relative norm {found['relative_norm']:.3f}, cosine {found['cosine']:.3f};"
            " nearest clips:"
        )
        self._say(f"      {'of the mixture':{_COLUMN}}of the mixture minus its background")
        for rank, hits in enumerate(zip_longest(plain["hits"], found["hits"]), start=1):
            left, right = (_hit(hit) for hit in hits)
            self._say(f"   {rank}  {left:{_COLUMN}}{right}".rstrip())

    def search(self) -> None:
        """Search by a clip, and by a mixture minus a reference."""
        self._say("\n3. More like this: search by example")
        body = self._send(Call("/search", fields={"clip_id": _clip_id(EXAMPLE), "k": N_HITS}))
        self._print_hits(body["hits"])
        self._say("   and more like this, but without that: minus a reference")
        mixture = self._mix("mixture-2.wav", OTHER_BACKGROUND, OTHER_ADDED)
        fields: dict[str, str | int] = {"reference_id": _clip_id(OTHER_BACKGROUND), "k": N_HITS}
        self._print_hits(self._send(Call("/search", {"audio": mixture}, fields))["hits"])

    def _mix(self, name: str, background: Path, added: Path) -> Path:
        path = self._scratch / name
        write_mixture(path, background=background, added=added)
        names = (f"{row['title']} ({row['kind']})" for row in map(self._row, (background, added)))
        self._say(f"   {path}: {' + '.join(names)}")
        return path

    def _row(self, clip: Path) -> Metadata:
        return self._table[clip.name]

    def _send(self, call: Call) -> dict[str, Any]:
        self._say(f"   $ {call.curl(self._server.url, show=shown_path)}")
        reply = call.send(self._server.port)
        if reply.status != http.client.OK:
            raise click.ClickException(f"{call.path} answered {json.dumps(reply.body)}")
        self._say(f"   answered in {1000 * reply.duration_s:.0f} ms")
        self.answers.append({"call": call.path, "answer": reply.body})
        return reply.body

    def _print_hits(self, hits: list[dict[str, Any]]) -> None:
        for rank, hit in enumerate(hits, start=1):
            self._say(f"   {rank}  {_hit(hit)}")


def _hit(hit: dict[str, Any] | None) -> str:
    if hit is None:
        return ""
    metadata = hit["metadata"]
    title = metadata.get("title", metadata.get("name", hit["clip_id"]))
    return f"{hit['score']:.3f}  {title} ({metadata.get('kind', 'other')})"


def _clip_id(file: Path) -> str:
    return hash_file(file).sha256[:ID_DIGITS]
