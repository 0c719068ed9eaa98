from __future__ import annotations

from training.datasets.tasks import TASKS
from training.reports import published


def test_the_tasks_are_the_columns_of_table_3() -> None:
    assert tuple(TASKS) == published.LINEAR_TASKS
    titles = [TASKS[task].title for task in TASKS]
    assert titles == ["ESC-50", "US8K", "SPCV2", "VC1", "VF", "CRM-D", "GTZAN", "NSynth", "Surge"]
    assert all(task.unit_s > 0 and task.learning_rate > 0 for task in TASKS.values())


def test_every_task_has_a_preparer() -> None:
    assert len(TASKS) == 9
    assert all(task.prepare for task in TASKS.values())
