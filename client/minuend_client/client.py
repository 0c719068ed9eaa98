"""Synchronous client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from minuend_client import calls
from minuend_client.calls import Audio, Call
from minuend_client.errors import MinuendError, UnreachableError, raise_for_problem
from minuend_client.models import (
    BulkResult,
    Clip,
    ClipPage,
    Difference,
    Embedding,
    SearchResult,
    Upload,
    VectorClip,
)
from minuend_client.retry import Retry

T = TypeVar("T")
TIMEOUT_S = 60.0


class Client:
    """Client of one service, usable from several threads. A context manager.

    Args:
        base_url: Address of the service.
        api_key: API key, if the service needs one.
        timeout_s: Timeout of connecting, of each write and of each read [s].
        retry: Rule for repeated attempts.
        transport: Transport of httpx, for tests.
    """

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000",
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: Retry = Retry(),  # noqa: B008 - frozen
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx.Client(
            base_url=base_url, headers=headers, timeout=timeout_s, transport=transport
        )
        self._retry = retry

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def embed(
        self, *audio: Audio, window_s: float | None = None, hop_s: float | None = None
    ) -> tuple[Embedding, ...]:
        """Embed files and return their embeddings in the same order.

        Args:
            *audio: At least one file.
            window_s: Also embed windows of this length [s].
            hop_s: Time between the starts of two windows [s]; ``window_s`` if None.

        Raises:
            ProblemError: The service refused the request, for example because a file is no audio.
            UnreachableError: The service did not answer.
        """
        return self._send(calls.embed(audio, window_s=window_s, hop_s=hop_s))

    def difference(
        self,
        mixture: Audio | None = None,
        reference: Audio | Sequence[Audio] | None = None,
        **fields: Any,
    ) -> Difference:
        """Subtract the sound of a reference from that of a mixture.

        Args:
            mixture: A file; for a stored clip, give ``mixture_id`` instead.
            reference: A file, or several whose mean is subtracted; for stored clips, give
                ``reference_id`` instead.
            **fields: Further fields of the endpoint: ``k``, ``filter``, ``every_window``,
                ``curve`` ...

        Raises:
            ProblemError: The service refused the request.
            UnreachableError: The service did not answer.
        """
        return self._send(calls.difference(mixture, calls.several(reference), **fields))

    def search(
        self,
        audio: Audio | None = None,
        *,
        reference: Audio | None = None,
        modifier: str | None = None,
        modifier_strength: float | None = None,
        **fields: Any,
    ) -> SearchResult:
        """Search the library by a sound, minus a reference, plus a text.

        Args:
            audio: The sound, as a file. Give ``clip_id`` for a stored clip, ``embedding`` for a raw
                embedding, or only a ``modifier`` to search by text.
            reference: The file to subtract; for a stored clip, give ``reference_id`` instead.
            modifier: Text, for example "with heavier rain".
            modifier_strength: Weight of the text, 0 to 4; 1 if None.
            **fields: Further fields of the endpoint: ``k``, ``filter``, ``clip_id``,
                ``every_window`` ...

        Raises:
            ProblemError: The service refused the request.
            UnreachableError: The service did not answer.
        """
        sounds = {"audio": audio, "reference": reference}
        fields |= {"modifier": modifier, "modifier_strength": modifier_strength}
        return self._send(calls.search(sounds, **fields))

    def add_clip(
        self,
        audio: Audio,
        *,
        clip_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Clip:
        """Store a file in the library. It is on the disk of the service when this returns.

        Args:
            audio: The file.
            clip_id: Id of the clip; None to derive it from the content of the file.
            metadata: A flat JSON object about the clip.

        Raises:
            ProblemError: The service refused the request.
            UnreachableError: The service did not answer; the clip may have been stored.
        """
        return self._send(calls.add_clip(audio, clip_id, metadata))

    def get_clip(self, clip_id: str) -> Clip:
        """Return a clip.

        Raises:
            ProblemError: There is no such clip (``clip_unknown``), or the request was refused.
            UnreachableError: The service did not answer.
        """
        return self._send(calls.get_clip(clip_id))

    def delete_clip(self, clip_id: str) -> None:
        """Delete a clip durably.

        Raises:
            ProblemError: There is no such clip (``clip_unknown``), or the request was refused.
            UnreachableError: The service did not answer.
        """
        self._send(calls.delete_clip(clip_id))

    def list_clips(
        self,
        cursor: str | None = None,
        *,
        limit: int = 100,
        filter: Mapping[str, Any] | None = None,
    ) -> ClipPage:
        """Return a page of the clips of the library, oldest first.

        Raises:
            ProblemError: The service refused the request.
            UnreachableError: The service did not answer.
        """
        return self._send(calls.list_clips(cursor, limit, filter))

    def clips(self, filter: Mapping[str, Any] | None = None) -> Iterator[Clip]:
        """Iterate over all clips, and request them page by page."""
        cursor: str | None = None
        while True:
            page = self.list_clips(cursor, limit=1000, filter=filter)
            yield from page.clips
            cursor = page.next_cursor
            if cursor is None:
                return

    def info(self) -> dict[str, Any]:
        """Return the served bundle, its origin, the state of the library, and the limits."""
        return self._send(calls.info())

    def add_vectors(
        self,
        clips: Iterable[VectorClip],
        *,
        on_progress: Callable[[int], object] = lambda done: None,
    ) -> BulkResult:
        """Upload any number of precomputed embeddings, in requests of `calls.BULK_CLIPS`.

        Args:
            clips: Raw embeddings of the served encoder; consumed request by request.
            on_progress: Called after each request with the number of durable clips.

        Raises:
            ProblemError: A request was refused; the clips of those before it are stored.
            UnreachableError: The service did not answer a request; the clips of those before it
                are stored.
        """
        fingerprint = self.info()["bundle"]["fingerprint"]
        created = updated = 0
        for batch in calls.batches(clips):
            result = self._send(calls.add_vectors(batch, fingerprint))
            created, updated = created + result.created, updated + result.updated
            on_progress(created + updated)
        return BulkResult(created, updated)

    def add_files(
        self,
        paths: Iterable[str | Path],
        *,
        metadata: Callable[[Path], Mapping[str, Any]] = lambda path: {"name": path.name},
        at_once: int = 4,
    ) -> Iterator[Upload]:
        """Store many files in parallel, and yield the result of each in their order.

        If a file is refused, the others are still stored; its ``error`` has the reason.

        Args:
            paths: The files.
            metadata: Returns the metadata of a file.
            at_once: Files that are sent at the same time.
        """

        def add(path: Path) -> Upload:
            try:
                return Upload(str(path), self.add_clip(path, metadata=metadata(path)))
            except (MinuendError, OSError) as error:
                return Upload(str(path), error=error)

        with ThreadPoolExecutor(at_once) as pool:
            yield from pool.map(add, map(Path, paths))

    def _send(self, call: Call[T]) -> T:
        attempt = 0
        while True:
            attempt += 1
            response, failure = self._attempt(call)
            wait_s = self._retry.wait_s(attempt, response)
            if wait_s is None:
                break
            time.sleep(wait_s)
        if response is None:
            raise UnreachableError(f"{self._http.base_url} gave no answer: {failure}") from failure
        raise_for_problem(response)
        return call.parse(response.json() if response.content else None)

    def _attempt(self, call: Call[T]) -> tuple[httpx.Response | None, httpx.HTTPError | None]:
        with ExitStack() as opened:
            try:
                arguments = call.arguments(opened)
                return self._http.request(call.method, call.path, **arguments), None
            except httpx.TransportError as error:
                return None, error
