"""`steepest train`: a job in a Python file, in one process or several."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from .commands import BAD_INPUT, INTERRUPTED, MINIMUM, NO_MINIMUM, Debug, Json, app
from .costs import function_in, in_file
from .output import show, show_json

HELP = """Train a model: JOB.py:job is a function that returns the arguments of steepest.train as a dict.

\b
  steepest train model.py:job --epochs 20
  steepest train model.py:job --checkpoint run --resume --out model.npz
  steepest train model.py:job --processes 4

With --resume the run goes on from its newest checkpoint, and starts afresh where there is none yet: the same command
may be given again after a crash.
"""

EXIT = """\b
Exit status: 0 trained, 1 diverged or learned by heart, 2 bad input, 130 interrupted."""


@app.command("train", short_help="Walk down a cost over data, on minibatches.", help=HELP, epilog=EXIT)
def train_command(
    job: Annotated[str, typer.Argument(metavar="JOB.py:FUNC", help="The job.", show_default=False)],
    epochs: Annotated[float | None, typer.Option(metavar="N", help="Passes over the data.")] = None,
    steps: Annotated[int | None, typer.Option(metavar="N", help="Steps at most.")] = None,
    seconds: Annotated[float | None, typer.Option(metavar="S", help="Seconds at most.")] = None,
    checkpoint: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep checkpoints there.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the newest checkpoint.")] = False,
    processes: Annotated[int, typer.Option(metavar="N", help="Processes on this machine.")] = 1,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="The parameters, as .npz.")] = None,
    record: Annotated[Path | None, typer.Option(metavar="FILE", help="A run file for a viewer.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Print what a training run came to."""
    check_out(out)
    given = {
        "epochs": epochs,
        "steps": steps,
        "seconds": seconds,
        "checkpoint": None if checkpoint is None else str(checkpoint),
        "record": None if record is None else str(record),
    }
    given = {key: value for key, value in given.items() if value is not None}
    if resume:
        given["resume"] = True
    if processes != 1:
        from ..training.launch import launch

        raise typer.Exit(launch(processes, sys.argv[1:]))
    from ..training.joining import farewell, join, leave_alone

    joined = join()
    try:
        function, file = function_in(job, "job")
        _check_job(function, job)
        with in_file(file):
            settings = together(settings_of(function(), job), given)
            result = _train(settings, progress=None if as_json else _shown())
    except BaseException as error:
        if joined:
            leave_alone(INTERRUPTED if isinstance(error, KeyboardInterrupt) else BAD_INPUT)
        raise
    if result is not None:
        with farewell(result.steps) if joined else nullcontext():
            if _speaks():
                finish(result, out, as_json)
        if result.ended == "interrupted":
            raise typer.Exit(INTERRUPTED)
        raise typer.Exit(MINIMUM if result.success else NO_MINIMUM)


def _speaks() -> bool:
    import jax

    return bool(jax.process_index() == 0)


def _shown() -> bool | None:
    return True if not sys.stderr.isatty() else None


def _train(settings: dict[str, Any], progress: bool | None) -> Any:
    import steepest

    return steepest.train(**({"progress": progress} | settings))


# What other libraries call the arguments of `train`.
ELSEWHERE = {
    "learning_rate": "rate",
    "lr": "rate",
    "step_size": "rate",
    "optimizer": "method",
    "loss": "cost",
    "loss_fn": "cost",
    "model": "params",
    "num_epochs": "epochs",
    "max_steps": "steps",
    "num_steps": "steps",
    "val_data": "validation",
    "validation_data": "validation",
    "warmup_steps": "warmup",
    "max_grad_norm": "clip",
    "gradient_accumulation_steps": "accumulate",
    "dtype": "precision",
    "checkpoint_dir": "checkpoint",
}


def _check_job(function: Callable[..., Any], job: str) -> None:
    """Refuse a function that wants arguments: whoever names the cost itself meant another one."""
    import inspect

    try:
        inspect.signature(function).bind()
    except TypeError as error:
        raise InputError(
            f"{job}: {error}; a job takes no arguments and returns those of train as a dict, "
            '{"cost": ..., "params": ..., "data": ...}'
        ) from None
    except ValueError:
        return  # its arguments cannot be told beforehand


def settings_of(found: Any, job: str) -> dict[str, Any]:
    """The arguments of `train` that a job returns; raises `InputError` where they are none."""
    import inspect

    import steepest

    known = set(inspect.signature(steepest.train).parameters)
    if not isinstance(found, dict):
        raise InputError(f"{job} returns {type(found).__name__}; return the arguments of train as a dict")
    unknown = set(found) - known
    if unknown:
        meant = [f"{name!r} is {ELSEWHERE[name]} here; " for name in sorted(unknown) if name in ELSEWHERE]
        raise InputError(
            f"{job} returns {', '.join(map(repr, sorted(unknown)))}, which train does not know; {''.join(meant)}"
            f"it takes {', '.join(sorted(known))}"
        )
    missing = {"cost", "params", "data"} - set(found)
    if missing:
        raise InputError(f"{job} returns no {', '.join(map(repr, sorted(missing)))}")
    return found


def together(settings: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """The job's arguments with those of the command line in their place; a folder given there keeps the job's pace."""
    own = settings.get("checkpoint")
    if "checkpoint" in given and isinstance(own, dict):
        given = given | {"checkpoint": own | {"folder": given["checkpoint"]}}
    return settings | given


def check_out(path: Path | None) -> None:
    """Refuse an --out that could not be written, before anything is computed."""
    if path is None:
        return
    if path.suffix != ".npz":
        raise InputError(f"--out {path}: the parameters go into an .npz file")
    if not path.parent.is_dir():
        raise InputError(f"--out {path}: there is no folder {path.parent}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise InputError(f"--out {path}: {path.parent} cannot be written ({error.strerror})") from None


def finish(result: Any, out: Path | None, as_json: bool) -> None:
    """Write the parameters and say what the run came to, where the disk refuses them too."""
    refused = ""
    if out is not None:
        try:
            result.save(out)
        except OSError as error:
            refused = f"--out {out}: the parameters could not be written ({error.strerror})"
    written = out is not None and not refused
    if as_json:
        show_json(result.to_dict() | ({"out": str(out)} if written else {}))
    else:
        show(str(result) + (f"\n\n  parameters: {out}" if written else ""))
    if refused:
        raise InputError(f"{refused}; a run with --checkpoint can be asked for them again, with --resume")
