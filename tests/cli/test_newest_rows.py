"""Every use case can be asked about the newest rows of its default data, and what is asked is a valid request."""

from __future__ import annotations

import pytest

from finml_cli.releases import MOST_ENTITIES, newest_rows
from finml_models.core import catalog

BUILT = [task for name in catalog.tasks() if catalog.task_gap(task := catalog.task(name)) is None]


@pytest.mark.parametrize("task", BUILT, ids=lambda task: task.id())
def test_the_newest_rows_of_the_default_data_make_a_request_that_the_task_can_read(task: type) -> None:
    request = newest_rows(task)
    assert isinstance(request, task.request)
    again = task.request.model_validate_json(request.model_dump_json(exclude_none=True))
    rows = task().raw(again)
    assert 1 <= rows["entity"].nunique() <= MOST_ENTITIES
    assert len(rows) == len(request.rows)
