"""Metrics for Prometheus, in one registry for each application."""

from __future__ import annotations

from functools import partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from service.audio.levels import InputReading
from service.concurrency.timings import RequestTimings
from service.inference.batcher import Run

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
# From a search by id to half an hour of audio on two cores [s].
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)

# All other sample rates share one series.
RATES_HZ = frozenset(
    {8000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000}
)
LEVELS_DBFS = (-100, -80, -60, -50, -40, -35, -30, -25, -20, -15, -10, -5, 0)


class Metrics:
    """The metrics of one application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._counter = partial(Counter, registry=registry)
        self._gauge = partial(Gauge, registry=registry)
        self._histogram = partial(Histogram, registry=registry)
        self._requests = self._counter(
            "minuend_requests",
            "Requests answered; status 499: the client left.",
            ["method", "route", "status"],
        )
        self._duration = self._histogram(
            "minuend_request_seconds",
            "From the first byte of a request to the end of its answer.",
            ["method", "route"],
            buckets=BUCKETS_S,
        )
        self._phase = self._histogram(
            "minuend_phase_seconds",
            "Time in one phase of one request.",
            ["phase"],
            buckets=BUCKETS_S,
        )
        self._add_engine()
        self._add_inputs()
        self.in_flight = self._gauge("minuend_requests_in_flight", "Requests being answered.")
        self.refused = self._counter("minuend_overload_refusals", "Requests refused with a 503.")
        self.connections = self._gauge("minuend_connections", "Open connections.")
        self.closures = self._counter(
            "minuend_connection_closures",
            "Connections closed against the will of their clients.",
            ["reason"],
        )
        self._add_library()
        self.bundle = self._gauge(
            "minuend_bundle_info",
            "Always 1; the labels name the bundle being served.",
            ["id", "fingerprint", "provider"],
        )
        ProcessCollector(registry=self._registry)

    def _add_library(self) -> None:
        """Add the metrics of the library, and of the parts of the service."""
        self.clips = self._gauge("minuend_library_clips", "Clips stored.")
        self.vectors = self._gauge(
            "minuend_library_vectors",
            "Vectors that searches compare: of clips, and of windows of the long ones.",
        )
        self.damaged = self._gauge(
            "minuend_damaged_parts",
            "Damaged parts of the library that were found and are not served, by their kind.",
            ["part"],
        )
        self.scrubbed = self._gauge(
            "minuend_scrub_checked_parts",
            "Parts of the library that the present check for damage has checked, by their kind.",
            ["part"],
        )
        self.scrub_completed = self._gauge(
            "minuend_scrub_completed_timestamp_seconds",
            "Time when a check for damage was complete for the last time; 0: never.",
        )
        self.free = self._gauge(
            "minuend_free_bytes",
            "Free room on the disk of the library, and on that of the temporary folder.",
            ["place"],
        )
        self.part_works = self._gauge(
            "minuend_part_works",
            "1 if a part of the service works, 0 if not; the parts of the readiness answer.",
            ["part"],
        )
        self._recall = self._histogram(
            "minuend_index_recall",
            "Share of the truly nearest that a sampled live search found, by kind of query.",
            ["query"],
            buckets=(0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1),
        )

    def _add_engine(self) -> None:
        """Add the metrics of encoding."""
        self._run_clips = self._histogram(
            "minuend_run_clips",
            "Clips, or pieces of long ones, in one run of the encoder.",
            buckets=(1, 2, 4, 8, 16, 32),
        )
        self._run_audio = self._histogram(
            "minuend_run_audio_seconds",
            "Audio in one run of the encoder.",
            buckets=(1, 2, 5, 10, 20, 40),
        )
        self._run_duration = self._histogram(
            "minuend_run_seconds",
            "Time of one run of the encoder.",
            buckets=BUCKETS_S,
        )
        self._waited = self._histogram(
            "minuend_clip_queue_seconds",
            "From a decoded clip, or piece of one, to the start of its run.",
            buckets=BUCKETS_S,
        )
        self._lookups = self._counter(
            "minuend_cache_lookups",
            "Files looked for in the cache of embeddings.",
            ["outcome"],
        )
        self.queued_s = self._gauge(
            "minuend_queue_audio_seconds",
            "Decoded audio that waits for the encoder.",
        )

    def _add_inputs(self) -> None:
        """Add the metrics of decoded files; see `service.audio.levels`."""
        self.decoder_deaths = self._counter(
            "minuend_decoder_deaths",
            "Child processes that ended while they decoded a file; the file was refused.",
        )
        self._audio_s = self._counter("minuend_audio_seconds", "Audio that was decoded.")
        self._input_files = self._counter(
            "minuend_input_files",
            "Files decoded, by their sample rate.",
            ["sample_rate_hz"],
        )
        self._input_level = self._histogram(
            "minuend_input_level_dbfs",
            "Mean power of a file relative to full scale.",
            buckets=LEVELS_DBFS,
        )
        self._input_clipped = self._histogram(
            "minuend_input_clipped_share",
            "Share of the samples of a file that reach full scale.",
            buckets=(0, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1),
        )
        self._input_silent = self._histogram(
            "minuend_input_silent_share",
            "Share of a file that is below -60 dBFS.",
            buckets=(0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1),
        )

    def observe_input(self, reading: InputReading) -> None:
        """Count one decoded file."""
        rate_hz = reading.sample_rate_hz
        self._audio_s.inc(reading.duration_s)
        self._input_files.labels(str(rate_hz) if rate_hz in RATES_HZ else "other").inc()
        self._input_level.observe(reading.level_dbfs)
        self._input_clipped.observe(reading.clipped_share)
        self._input_silent.observe(reading.silent_share)

    def observe_run(self, run: Run) -> None:
        """Count one run of the encoder."""
        self._run_clips.observe(run.n_clips)
        self._run_audio.observe(run.audio_s)
        self._run_duration.observe(run.took_s)
        for waited_s in run.waited_s:
            self._waited.observe(waited_s)

    def observe_recall(self, share: float, is_modified: bool) -> None:
        """Count one search whose hits were compared with those of an exact search."""
        self._recall.labels("modified" if is_modified else "plain").observe(share)

    def observe_lookup(self, found: bool) -> None:
        """Count one lookup in the cache of embeddings."""
        self._lookups.labels("hit" if found else "miss").inc()

    def observe(
        self, *, method: str, route: str, status: int, took_s: float, timings: RequestTimings
    ) -> None:
        """Count one request."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(method, route).observe(took_s)
        for phase, seconds in timings.seconds.items():
            self._phase.labels(phase).observe(seconds)

    def render(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)
