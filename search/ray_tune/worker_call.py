"""Worker call: a function called once in a worker that has the resources of a run, before the runs of a study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from search.ray_tune.capacity import Capacity
from search.study.resources import Resources
from trainables.errors import InputError, TrialError

CALL_SECONDS = 900.0
"""How long a call may wait for a free worker and take."""


def call_on_worker(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    resources: Resources,
    cluster: bool,
    seconds: float = CALL_SECONDS,
) -> Any:
    """Return what a function returns in a worker, whose process then ends; call it within a `ray_session`.

    Args:
        function: an importable function.
        arguments: its arguments, which are sent to the worker.
        resources: resources of a run, which the worker gets.
        cluster: whether the cluster may grow (see `Capacity`).
        seconds: how long it may take.

    Raises:
        InputError: no run fits, or the function has raised it.
        TrialError: the worker has raised something else, died, or taken too long.
    """
    import ray
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError

    Capacity(resources, cluster)
    options = {"num_cpus": resources.cpus, "num_gpus": resources.gpus, "max_retries": 0, "max_calls": 1}
    task: Any = ray.remote(**options)(function)
    answer = task.remote(*arguments)
    try:
        return ray.get(answer, timeout=seconds)
    except RayTaskError as error:
        if isinstance(error.cause, InputError):
            raise error.cause from None
        raise TrialError(f"{type(error.cause).__name__}: {error.cause}".splitlines()[0][:300]) from None
    except GetTimeoutError:
        ray.cancel(answer, force=True)
        raise TrialError(f"no worker has answered within {seconds:g} s") from None
    except RayError as error:
        raise TrialError(f"the worker has died: {str(error).strip().splitlines()[-1][:300]}") from None
