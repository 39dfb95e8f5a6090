"""What becomes of a step that fails, or that somebody ends."""

import dagster as dg
import pytest

from finml_models.core.errors import DataError
from finml_pipelines.factory import as_failure


def run(*raised: BaseException) -> tuple[int, dg.ExecuteInProcessResult]:
    """How often a step was tried that raises these, one a try, and how its run ended."""
    left, tried = list(raised), []

    @dg.asset
    def step(context: dg.AssetExecutionContext) -> None:
        tried.append(1)
        with as_failure(retries=1):
            if left:
                if not isinstance(left[0], Exception):
                    # Whoever cancels says so before the process is told.
                    context.instance.report_run_canceling(context.run)
                raise left.pop(0)

    result = dg.materialize([step], raise_on_error=False)
    return len(tried), result


def test_a_fault_that_passes_is_tried_again() -> None:
    tried, result = run(OSError("the disk was away"))
    assert tried == 2
    assert result.success


def test_a_fault_that_stays_ends_the_step_with_its_reason() -> None:
    tried, result = run(OSError("the disk is away"), OSError("the disk is away"))
    assert tried == 2
    assert not result.success
    (failure,) = result.get_step_failure_events()
    assert "the disk is away" in str(failure.step_failure_data.error)


def test_data_that_are_wrong_are_not_tried_again() -> None:
    tried, result = run(DataError("close: row 3 is negative; correct it"))
    assert tried == 1
    assert not result.success


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), dg.DagsterExecutionInterruptedError()])
def test_a_step_that_was_cancelled_is_not_tried_again(interrupt: BaseException) -> None:
    tried, result = run(interrupt)
    assert tried == 1
    assert result.dagster_run.status is dg.DagsterRunStatus.CANCELED
