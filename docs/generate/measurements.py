"""Page of the metrics, phases and log lines of the service, from its code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase
from tables import code, table

import service
from service.observability.metrics import Metrics

PACKAGE = Path(service.__file__).parent
LEVELS = ("debug", "info", "warning", "error", "exception")

HEAD = """\
# Metrics and log fields

## Metrics

`GET /metrics` returns these in the text format of Prometheus, and those of the process
(`process_...`).

"""
PHASES = """
## Phases

`minuend_phase_seconds`, the header `server-timing` and the log field `<phase>_ms` have the duration
of these phases of a request:

"""
LOGS = """
## Log lines

The log has one JSON object on each line, on standard error. Every line has `timestamp`, `level`,
`logger` and `message`, a line of a request also `request_id`, and a line of an unexpected error
`exc_info`. `MINUEND_LOG_LEVEL` sets the lowest level.

"""


def page() -> str:
    """Return the page."""
    metrics = table(("metric", "type", "labels", "meaning"), _metrics())
    timings = "".join(f"- `{name}`\n" for name in sorted({*_timings()}))
    logs = table(("message", "level", "logger", "fields"), sorted(_log_lines()))
    return HEAD + metrics + PHASES + timings + LOGS + logs


def _metrics() -> Iterator[tuple[str, str, str, str]]:
    registry = Metrics()._registry
    for collector in registry._collector_to_names:  # no public method lists labels without values
        if isinstance(collector, MetricWrapperBase):
            (metric,) = collector.describe()
            suffix = "_total" if metric.type == "counter" else ""
            labels = ", ".join(map(code, collector._labelnames))
            yield code(metric.name + suffix), metric.type, labels, metric.documentation


def _calls() -> Iterator[tuple[Path, ast.Call, str]]:
    """Iterate over all method calls in the service, with the names of the methods."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path, node, node.func.attr


def _timings() -> Iterator[str]:
    """Iterate over the names of the phases in `service.concurrency.timings.RequestTimings`."""
    for _, call, method in _calls():
        if method in ("measure", "add") and call.args and isinstance(call.args[0], ast.Constant):
            yield str(call.args[0].value)


def _log_lines() -> Iterator[tuple[str, str, str, str]]:
    for path, call, method in _calls():
        logs = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
        if not logs or "logger" not in call.func.value.id or method not in LEVELS:
            continue
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        extra = next((word.value for word in call.keywords if word.arg == "extra"), None)
        fields = ", ".join(_keys(extra)) if isinstance(extra, ast.Dict) else ""
        level = "error" if method == "exception" else method
        yield str(ast.literal_eval(call.args[0])), level, code(module), fields


def _keys(fields: ast.Dict) -> Iterator[str]:
    for key in fields.keys:
        yield f"`{ast.literal_eval(key)}`" if key is not None else "`<phase>_ms`"
