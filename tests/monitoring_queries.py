"""Queries of the dashboard and the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[1] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "minuend.json"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"


def panels() -> list[dict[str, Any]]:
    """Return the panels of the dashboard that have queries."""
    board = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def dashboard_queries() -> dict[str, str]:
    """Return every query of the dashboard by its panel and letter."""
    return {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in panels()
        for target in panel["targets"]
    }


def alert_queries() -> dict[str, str]:
    """Return the expression of every alert by its name."""
    (group,) = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def metric_names(query: str) -> set[str]:
    """Return the names of the series that a query reads."""
    bare = re.sub(r'"[^"]*"', '""', query)
    return set(re.findall(r"\b(?:minuend|process)_\w+|\bup\b", bare))


def label_names(query: str) -> set[str]:
    """Return the labels that a query selects or groups by."""
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", query)
    grouped = re.findall(r"\bby \(([^)]*)\)", query)
    return {*selected, *(name.strip() for group in grouped for name in group.split(","))}
