"""What happens to the servers and their library while clients write: kills, backups, restores."""

from __future__ import annotations

import json
import math
import random
import shutil
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torture.actor import SHARED, SHARED_IDS, Actor, Shared
from torture.audit import audit, check_moment, read_all
from torture.imports import Folder
from torture.server import Bundle, Command, Outcome, Server, ServerStartError, now
from torture.values import Value

KILL_WAIT_S = 0.05
LONGEST_COMMAND_S = 1.5
"""A command that is to be killed is killed within this time [s]; most take about as long."""
START_KILLED = 0.2
INCOMPLETE = 3
"""Exit code of a run of `minuend index` that left out clips, here those without audio."""


class Administrator:
    """Does one thing after another to the servers of a run.

    Args:
        root: Folder for libraries, backups and folders of sounds.
        bundles: Two bundles with different encoders.
        seed: Seed of its choices.
        shared: What all clients share.
        clients: The clients, whose ids it audits.
    """

    def __init__(
        self,
        root: Path,
        bundles: Sequence[Bundle],
        seed: int,
        shared: Shared,
        clients: Sequence[Actor],
    ) -> None:
        self._root = root
        self._bundles = bundles
        self._shared = shared
        self._model = shared.model
        self._servers = shared.servers
        self._rng = random.Random(f"{seed} administrator")
        self._actor = Actor("administrator", seed, shared)
        self._folders = [
            Folder(Actor("in-place", seed, shared), root / "in-place", copy=False),
            Folder(Actor("copied", seed, shared), root / "copied", copy=True),
        ]
        self._writers: dict[str, Sequence[str]] = {c.name: c.own_ids for c in clients}
        self._writers |= {SHARED: SHARED_IDS}
        self._writers |= {folder.name: folder.keys for folder in self._folders}
        self._bundle = bundles[0]
        self._n_libraries = 0
        self._kept_from = math.inf  # a backup that still has to be checked began then
        self._library = self._new_library()

    def start(self, *, is_killed_first: bool) -> None:
        """Start the first server, with a new library, maybe after one that was killed."""
        if is_killed_first:
            self._servers.kill_start(self._library, self._bundle, self._draw_moment_s())
        self._servers.start(self._library, self._bundle)

    def close(self) -> None:
        """Close the connections."""
        for actor in (self._actor, *(folder.actor for folder in self._folders)):
            actor.close()

    def do(self, name: str) -> None:
        """Do one of the things of `EVENTS`.

        Raises:
            ServerStartError: A server does not start.
        """
        self._shared.count(name)
        self._shared.note("administrator", name)
        self._note_crashes()
        try:
            EVENTS[name][0](self)
        except ServerStartError:
            raise
        except Exception:
            self._model.report("wrong", name, traceback.format_exc())

    def finish(self) -> None:
        """Kill all servers, and check a last time what is there."""
        self._revive(self._kill_servers)
        self._end_servers(self._stop)

    def audit(self) -> None:
        """Check everything while the clients wait."""
        with self._shared.gate.closed():
            server = self._rng.choice(self._servers.alive())
            audit(self._actor, server, self._writers)
            self._model.forget(min(now(), self._kept_from))

    def kill(self) -> None:
        """Kill one of the servers, or both, and audit what is left."""
        self._revive(self._kill_servers)

    def stop(self) -> None:
        """Stop the servers in order, and audit."""
        self._revive(lambda: self._end_servers(self._stop))

    def second_server(self) -> None:
        """Start a second server on the same library, if there is one."""
        if len(self._servers.alive()) == 1:
            self._servers.start(self._library, self._bundle)

    def back_up(self) -> None:
        """Back up while clients write, restore elsewhere, and check; sometimes go on from there."""
        self._kept_from = now()
        try:
            self._back_up(self._root / "backup.tar", self._kept_from)
        finally:
            self._kept_from = math.inf

    def index(self) -> None:
        """Import a folder while clients write; sometimes it is killed, or the server is."""
        server = self._rng.choice(self._servers.alive())
        folder = self._rng.choice(self._folders)
        folder.delete_some(server)
        folder.run(server, lambda command: self._run(command, maybe=self.kill))

    def reembed(self) -> None:
        """Change the encoder: embed while clients write, stop, embed the rest, start anew."""
        (other,) = (each for each in self._bundles if each is not self._bundle)
        options = ("--library", self._library, "--bundle", other.path)
        words: tuple[str | Path, ...] = ("index", "--reembed", "--json", *options)
        outcome = self._run(Command(*words), maybe=self.kill)
        self._check_reembedding(outcome)
        with self._shared.gate.closed():
            self._end_servers(self._stop)
            dropped = ("--drop-others",) if self._rng.random() < 0.5 else ()
            self._check_reembedding(Command(*words, *dropped).wait())
            self._bundle = other
            self._servers.start(self._library, other)
            self.audit()

    def _back_up(self, file: Path, begin: float) -> None:
        outcome = self._run(Command("backup", file, "--library", self._library), maybe=self.kill)
        end = now()
        if not file.exists():
            if outcome.code is not None:
                self._model.report("wrong", "", f"there is no backup: {outcome.error}")
            return
        restored = self._new_library()
        words = ("restore", file, "--library", restored)
        if self._rng.random() < 0.3:
            Command(*words).wait(self._draw_moment_s())
            self._shared.count("restores killed")
        again = Command(*words).wait()
        if again.code != 0 and not (restored / "catalog.sqlite").exists():
            self._model.report("lost", "", f"a backup cannot be restored: {again.error}")
            return
        self._shared.count("restores")
        file.unlink()
        server = self._servers.start_private(restored, self._bundle)
        seen = read_all(self._actor, server)
        values = check_moment(self._model, seen, begin, end)
        if self._rng.random() < 0.3:
            self._go_on_from(server, values)
        else:
            self._stop(server)
            shutil.rmtree(restored)

    def _go_on_from(self, server: Server, values: Mapping[str, Value]) -> None:
        """Let the clients use a restored library from now on."""
        self._stop(server)
        with self._shared.gate.closed():
            self._end_servers(self._kill)
            shutil.rmtree(self._library)
            self._library = server.library
            self._model.reset(values, now())
            self._servers.start(self._library, self._bundle)
            self._shared.count("restored libraries taken over")
            self.audit()

    def _run(self, command: Command, *, maybe: Callable[[], None]) -> Outcome:
        """Run a command; sometimes kill it, and sometimes let something else happen meanwhile."""
        kill_after_s = self._draw_kill_s()
        if kill_after_s is None and self._rng.random() < 0.3:
            time.sleep(self._draw_moment_s())
            maybe()
        outcome = command.wait(kill_after_s)
        self._shared.note("administrator", str(command), code=outcome.code)
        return outcome

    def _check_reembedding(self, outcome: Outcome) -> None:
        if outcome.code is None:
            return
        if outcome.code not in (0, INCOMPLETE):
            text = f"re-embedding ended with {outcome.code}: {outcome.error}"
            self._model.report("wrong", "", text)
            return
        for left in json.loads(outcome.out)["left_out"]:
            if left["code"] not in ("clip_audio_missing", "clip_unknown"):
                self._model.report("wrong", left["clip_id"], f"was not embedded again: {left}")

    def _revive(self, end: Callable[[], None]) -> None:
        """End servers while clients write; then start one if none is left, and audit."""
        end()
        with self._shared.gate.closed():
            if not self._servers.alive():
                if self._rng.random() < START_KILLED:
                    self._servers.kill_start(self._library, self._bundle, self._draw_moment_s())
                    self._shared.count("servers killed while they started")
                self._servers.start(self._library, self._bundle)
            self.audit()

    def _kill_servers(self) -> None:
        """Kill one server; if there are two, sometimes both."""
        servers = self._servers.alive()
        self._rng.shuffle(servers)
        time.sleep(self._rng.random() * KILL_WAIT_S)
        self._kill(servers[0])
        if len(servers) > 1 and self._rng.random() < 0.5:
            self._kill(servers[1])

    def _end_servers(self, end: Callable[[Server], None]) -> None:
        for server in self._servers.alive():
            end(server)

    def _kill(self, server: Server) -> None:
        server.kill()
        self._forget(server)
        self._shared.count("servers killed")

    def _stop(self, server: Server) -> None:
        if (code := server.stop()) != 0:
            self._model.report("wrong", "", f"a stopped server ended with {code}")
        self._forget(server)
        self._shared.count("servers stopped")

    def _forget(self, server: Server) -> None:
        if server in self._servers.alive():
            self._servers.remove(server)
        self._model.server_ended(server.number, now())

    def _note_crashes(self) -> None:
        for server in self._servers.alive():
            if server.has_crashed():
                log = "".join(server.lines)[-3000:]
                self._model.report("wrong", "", f"a server ended by itself: {log}")
                self._forget(server)
        if not self._servers.alive():
            self._servers.start(self._library, self._bundle)

    def _draw_kill_s(self) -> float | None:
        return self._draw_moment_s() if self._rng.random() < 0.3 else None

    def _draw_moment_s(self) -> float:
        return self._rng.random() * LONGEST_COMMAND_S

    def _new_library(self) -> Path:
        self._n_libraries += 1
        return self._root / f"library-{self._n_libraries}"


EVENTS: Mapping[str, tuple[Callable[[Administrator], None], int]] = {
    "kill": (Administrator.kill, 16),
    "stop": (Administrator.stop, 3),
    "second server": (Administrator.second_server, 3),
    "backup": (Administrator.back_up, 4),
    "index": (Administrator.index, 3),
    "re-embedding": (Administrator.reembed, 2),
    "audit": (Administrator.audit, 2),
}
"""Events and how often each is chosen, of 33."""
