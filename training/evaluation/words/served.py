"""The service in this process: libraries of a bundle, searched by the service's own code.

The only module of ``training`` that opens the service. What it measures is what a user gets: files
are embedded and cut into windows as by ``minuend index``, and searched as by ``POST /search`` and
``POST /difference``. The encoder runs in float32, so that figures do not depend on the processor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from tqdm import tqdm

from service.catalog.filters import parse_filter
from service.clips import Metadata, NewClip
from service.concurrency.timings import RequestTimings
from service.inference.phrases import RankedPhrase
from service.library.file_reader import EmbeddedFile, FileReader
from service.library.library import Library
from service.library.upload import library_windowing
from service.loading import Models, open_bundle, open_models
from service.retrieval.inputs import ClipInput
from service.retrieval.options import DifferenceOptions, RankingOptions
from service.retrieval.query import Modifier
from service.retrieval.searcher import Searcher
from service.services import audio_limits, make_searcher, open_embedder, open_library
from service.settings import Settings, load_settings
from training.errors import DatasetError

MAX_K = 1000
PAGE = 1000
BATCH = 16

Load = Callable[[], Float32[np.ndarray, " samples"]]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a search.

    Attributes:
        ids: Ids of the hits, best first.
        notices: Codes of its notices.
    """

    ids: list[str]
    notices: frozenset[str]


class ServedLibrary:
    """One library of a bundle.

    Args:
        models: The opened models.
        library: The library.
        settings: Settings of the service.
    """

    def __init__(self, models: Models, library: Library, settings: Settings) -> None:
        self._models = models
        self._library = library
        self._settings = settings
        embedder = open_embedder(models.encoder, settings)
        self._searcher: Searcher = make_searcher(models, embedder, library, settings)

    def ids(self) -> set[str]:
        """List the ids of its clips."""
        ids: set[str] = set()
        cursor: str | None = None
        while True:
            records, cursor = self._library.page(cursor, PAGE)
            ids.update(record.id for record in records)
            if cursor is None:
                return ids

    def add_files(self, files: Mapping[str, Path], metadata: Mapping[str, Metadata]) -> None:
        """Embed files that it lacks, long ones also as windows.

        Args:
            files: Files by the ids of their clips; those that cannot be read are left out.
            metadata: Metadata by id.
        """
        known = self.ids()
        missing = {path: clip_id for clip_id, path in files.items() if clip_id not in known}
        reader = FileReader(
            self._models.encoder,
            limits=audio_limits(self._settings),
            windowing=library_windowing(self._settings.window_s),
        )
        with reader, tqdm(total=len(missing), desc="embedding", unit="clip") as bar:
            for batch in reader.embed(missing):
                clips = [
                    NewClip(
                        id=missing[file.path],
                        embedding=file.embedding,
                        info=file.info,
                        metadata=metadata[missing[file.path]],
                        windows=file.windows,
                    )
                    for file in batch
                    if isinstance(file, EmbeddedFile)
                ]
                if clips:
                    self._library.writer.put_many(clips)
                bar.update(len(batch))

    def add_sounds(self, sounds: Mapping[str, Load]) -> None:
        """Embed rendered sounds that it lacks.

        Args:
            sounds: Functions that render the samples, by the ids of their clips.
        """
        known = self.ids()
        missing = [clip_id for clip_id in sounds if clip_id not in known]
        with tqdm(total=len(missing), desc="embedding", unit="sound") as bar:
            for first in range(0, len(missing), BATCH):
                ids = missing[first : first + BATCH]
                embeddings = self._models.encoder.embed([sounds[each]() for each in ids])
                clips = zip(ids, embeddings, strict=True)
                self._library.writer.put_many(
                    [NewClip(id=clip_id, embedding=embedding) for clip_id, embedding in clips]
                )
                bar.update(len(ids))

    def search(
        self,
        sound: str | None = None,
        *,
        reference: str | None = None,
        text: str | None = None,
        k: int,
        where: Mapping[str, object] | None = None,
    ) -> Answer:
        """Search as ``POST /search`` does, with its defaults.

        Args:
            sound: Id of the clip to search like.
            reference: Id of the clip to subtract from it.
            text: The text.
            k: Most hits; `MAX_K` if it is more.
            where: Condition on the metadata of a hit.
        """
        result = self._searcher.search(
            None if sound is None else ClipInput(sound),
            None if reference is None else ClipInput(reference),
            RankingOptions(k=min(k, MAX_K), filter=parse_filter(where) if where else None),
            RequestTimings(),
            modifier=None if text is None else Modifier(text),
        )
        ids = [ranked.hit.record.id for ranked in result.hits]
        return Answer(ids, frozenset(notice.code for notice in result.notices))

    def phrases(self, mixture: str, reference: str, n: int) -> Sequence[RankedPhrase]:
        """List the first phrases for what was added, as ``POST /difference`` does."""
        difference = self._searcher.difference(
            ClipInput(mixture),
            [ClipInput(reference)],
            RankingOptions(k=1),
            RequestTimings(),
            options=DifferenceOptions(n_phrases=n),
        )
        return difference.comparison.phrases


class Service:
    """The opened models of a bundle.

    Args:
        bundle: Folder of the bundle.
        threads: Threads of the encoder; 0 for one for each core.

    Raises:
        StartupError: The bundle cannot be used.
        DatasetError: It has no towers.
    """

    def __init__(self, bundle: Path, threads: int) -> None:
        self._settings = load_settings(
            bundle=bundle, precision="fp32", threads=threads, max_k=MAX_K, reserve_bytes=0
        )
        self.models = open_models(open_bundle(self._settings), self._settings)
        if self.models.towers is None:
            raise DatasetError(f"{bundle} has no towers, so it understands no text")

    @property
    def n_phrases(self) -> int:
        """Number of phrases in the text bank."""
        return len(self.models.towers.bank) if self.models.towers else 0

    @contextmanager
    def library(self, path: Path) -> Iterator[ServedLibrary]:
        """Open a library, or make it."""
        settings = self._settings.model_copy(update={"library": path})
        models = self.models
        path.parent.mkdir(parents=True, exist_ok=True)
        library = open_library(models.space, models.encoder.precision, settings, create=True)
        with closing(library):
            yield ServedLibrary(models, library, settings)
            library.index.save()
