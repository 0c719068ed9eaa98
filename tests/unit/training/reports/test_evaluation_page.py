from __future__ import annotations

import json
from pathlib import Path

from tiny_results import bgknown, encoder, linear, separation, sweep

from training.reports.evaluation_page import write_report


def write(folder: Path, name: str, *rows: dict[str, object]) -> None:
    (folder / f"{name}.json").write_text(json.dumps({"rows": rows}), encoding="utf-8")


def line_of(page: str, start: str) -> str:
    return next(line for line in page.splitlines() if line.startswith(f"| {start}"))


def test_nothing_measured_is_said_plainly(tmp_path: Path) -> None:
    page = write_report(tmp_path / "new").read_text(encoding="utf-8")
    assert "Table 1 is not complete: λ 0, 0.1, 0.2, 0.5, 0.8 not yet trained." in page
    assert line_of(page, "0.8 |").count("not yet trained") == 4
    assert "VC1, VF, CRM-D" in page


def test_measured_rows_stand_beside_the_papers(tmp_path: Path) -> None:
    run, heard, log_mel = encoder(0.5, "run"), encoder(0.5, "default"), encoder(None, "log-mel")
    write(
        tmp_path,
        "bgknown",
        bgknown(run, 51.5, 48, 44, 40),
        bgknown(heard, 60, 55, 50, 45, heard=800),
        bgknown(log_mel, 30, 25, 20, 15),
    )
    write(
        tmp_path,
        "linear",
        linear(run, "esc50", 70.0, train_folds=[1, 2, 3]),
        linear(run, "my-words", 80.0),
    )
    write(tmp_path, "separation", separation(run, 20, 10), separation(log_mel, 30, 20))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "58.96 | 54.63 | 50.50 | 47.33 | 51.50 ± 1.00 |" in line_of(page, "`run` (λ 0.5")
    assert "100% of the test clips heard" in line_of(page, "`default`")
    assert "30.00 ± 1.00" in line_of(page, "log-mel, mean")
    tasks, _, figures = (
        page.split("here. [linear.json](linear.json)")[1].split("\n\n")[2].splitlines()
    )
    assert tasks == "| encoder | ESC-50, trained on folds 1, 2, 3 | `my-words` |"
    assert figures.endswith("| 70.00 ± 0.50 | 80.00 ± 0.50 |")
    assert "ESC-50" not in page.split("were not run:")[1].split(".")[0]
    assert f"| 0.5 {'| 20 to 10 ' * 3}| 10.0% to 20.0% | +0.100 |" in page
    assert "4 background recordings" in page
    for picture in ("bgknown", "separation-run", "separation-log-mel"):
        assert f"({picture}.png)" in page
        assert (tmp_path / f"{picture}.png").is_file()


def test_recipes_tried_stand_apart_from_the_tables(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    run = encoder(0.5)
    write(tmp_path / "trials", "sweep", sweep(run, 40), sweep(run, 43, optim={"batch_size": 64}))
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "optim.batch_size" in page.split("## Recipes tried")[1]
    assert "0.5 not yet trained" in page or "0.5, 0.8 not yet trained" in page


def test_rows_of_another_early_stopping_have_a_table_of_their_own(tmp_path: Path) -> None:
    run = encoder(0.5, "run")
    by_loss, by_accuracy = bgknown(run, 50, 40, 30, 20), bgknown(run, 51, 47, 44, 40)
    by_accuracy["key"]["monitor"] = "accuracy"
    write(tmp_path, "bgknown", by_loss, by_accuracy)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    before, after = page.split("highest validation accuracy")
    assert "50.00 ± 1.00" in before
    assert "51.00 ± 1.00" not in before
    assert "51.00 ± 1.00" in after
    assert "51.0 > 47.0 > 44.0 > 40.0" in after


def test_less_of_the_reference_stands_beside_all_of_it(tmp_path: Path) -> None:
    whole, half = (bgknown(encoder(0.5, "run"), a, 40, 30, 20) for a in (50, 52))
    another = bgknown(encoder(0.2, "another"), 48, 40, 30, 20)
    half["key"]["coefficient"] = 0.5
    for row in (whole, half, another):
        row["key"]["monitor"] = "accuracy"
    write(tmp_path, "bgknown", whole, half, another)

    section = write_report(tmp_path).read_text(encoding="utf-8").split("less of it")[1]

    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert [line.split(" | ")[1:3] for line in lines[:2]] == [
        ["0.5", "52.00 ± 1.00"],
        ["1", "50.00 ± 1.00"],
    ]
    assert "`another`" not in section.split("![")[0]
