"""The pages of results show what stands in the results files beside them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from training.reports import changed_page, linear_page, paper_page, retrieval_page, words_page

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
PAGES = sorted(page.name for page in RESULTS.glob("*.md"))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pages as the commands write them now from the committed results files."""
    folder = tmp_path_factory.mktemp("results")
    shutil.copytree(RESULTS, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md"))
    for page in (changed_page, linear_page, paper_page, retrieval_page, words_page):
        page.write_page(folder)
    for command in ("report.py", "engine_report.py", "reliability_report.py"):
        subprocess.run([sys.executable, ROOT / "benchmarks" / command, folder], check=True)
    return folder


@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_the_figures_of_its_files(name: str, written: Path) -> None:
    committed = (RESULTS / name).read_text("utf-8")
    assert committed == (written / name).read_text("utf-8"), "make the page anew, as it says"


def test_the_readme_gives_the_figures_of_the_shipped_encoder() -> None:
    manifest = json.loads((ROOT / "models" / "default" / "bundle.json").read_text("utf-8"))
    rows = json.loads((RESULTS / "separation.json").read_text("utf-8"))["rows"]
    (row,) = (it for it in rows if it["key"]["encoder"] == manifest["encoder"]["fingerprint"])
    at_0_db = row["by_snr_db_and_weight"]["0"]
    mixture, left = (at_0_db[f"{weight:g}"] for weight in (0, row["reference_weight"]))
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    assert f"Of {row['data']['candidates']} real clips that the shipped encoder never" in readme
    assert f"median rank {mixture['median_rank']:g} in a search with the mixture" in readme
    assert f"and {left['median_rank']:g} once the other is" in readme
