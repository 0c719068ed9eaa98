from __future__ import annotations

from training.datasets.tasks import TASKS
from training.reports import published


def test_the_tasks_are_the_columns_of_table_3() -> None:
    assert tuple(TASKS) == published.LINEAR_TASKS
    assert all(task.prepare for task in TASKS.values())
