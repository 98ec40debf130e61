"""A training run: set up, trained step by step, finished; and resumed where it was stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from acanet.errors import BadAudio, BadConfig
from acanet.models.inference import load_model
from acanet.runtime.bundle import Bundle
from acanet.training.checkpoint import LAST, resumed, save_run
from acanet.training.finish import finish
from acanet.training.interrupt import interrupts
from acanet.training.loader import deaths_told
from acanet.training.log import Log
from acanet.training.loop import train_steps
from acanet.training.memory import keep_freed_memory
from acanet.training.progress import DevResult, Progress, best_of
from acanet.training.recipe import Recipe
from acanet.training.run_folder import check_folder, claim_folder
from acanet.training.setup import Setup, set_up


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a run.

    Attributes:
        finished: false when it was interrupted; it can be resumed.
        step: steps done.
        best: the dev evaluation that chose the model, if there was one.
        before: dev EER of the weights that it started from (with `init` and a dev set).
        folder: of the run; the model is in `best/`.
        main: whether this is the process, of several started by torchrun, that writes and tells.
    """

    finished: bool
    step: int
    best: DevResult | None
    before: float | None
    folder: Path
    main: bool


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, init: Bundle | None = None, console: Console | None = None
) -> Outcome:
    """Train a model, or go on with its training.

    Args:
        recipe: everything that decides the run.
        out: folder of the run: `recipe.yaml`, `last.pt`, `best/` (a bundle), `log.csv`, `dev.csv`, `tensorboard/`.
        resume: go on from `last.pt`; with none there yet, start.
        init: start from this model's weights, with a new head and a lower rate for the old layers; None: from those
            that the recipe names, if it names some.
        console: where progress goes.

    Raises:
        AcanetError: when `out` holds a run already and `resume` is false; when the discriminant of the recipe has more
            directions than the training speakers span; when a process that makes batches dies.
        BadConfig: when the run in `out` was started with another recipe, from another model or on other recordings;
            when the model has no place for a discriminant, or brings one; when `init` is another model than the recipe
            names.
        BadManifest: when training and dev share a speaker, or an id stands twice.
        BadAudio: when a recording cannot be read while crops are decoded as they are needed; the run is saved then.
        Diverged: when loss, weights or embeddings are not finite any more; what was saved before stays.
        ModelMismatch: when `init` is another architecture than the recipe's.
    """
    console = console or Console(stderr=True)
    init = _start_from(recipe, init)
    check_folder(out, recipe, resume)
    keep_freed_memory()
    setup = set_up(recipe, out, init)
    console.quiet |= not setup.main
    if setup.main:
        claim_folder(out, recipe)
    setup.accelerator.wait_for_everyone()
    progress = _start(setup, resume, console)
    before = _dev_eer_before(setup, init, console)
    with interrupts() as stopped, deaths_told():
        with _log(setup, progress, console) as log, _saved_where_audio_fails(setup, progress):
            trained = train_steps(setup, progress, log, stopped)
        finished = trained and finish(setup, progress, console, stopped)
    return Outcome(finished, progress.step, best_of(progress.history), before, out, setup.main)


def _start_from(recipe: Recipe, init: Bundle | None) -> Bundle | None:
    """The model that training starts from, which the caller or the recipe names; None: fresh weights."""
    if recipe.model.init is None:
        return init
    named = Bundle.load(recipe.model.init)
    if init is not None and init.fingerprint != named.fingerprint:
        problem = f"the recipe names model {named.fingerprint} to start from, --init {init.fingerprint}; give one"
        raise BadConfig("model.init", [problem])
    return named


def _start(setup: Setup, resume: bool, console: Console) -> Progress:
    """The progress with which a run goes on: that of its last checkpoint, or none."""
    if setup.dev is None:
        last = "average of the weights is" if setup.recipe.average else "weights are"
        console.print(f"no dev set: nothing is chosen, the last {last} the model", highlight=False)
    if (setup.folder / LAST).exists():
        progress = resumed(setup)
        console.print(f"resuming after step {progress.step}", highlight=False)
        return progress
    if resume:
        text = f"no checkpoint in {setup.folder} yet: starting at step 0"
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return Progress()


@contextmanager
def _saved_where_audio_fails(setup: Setup, progress: Progress) -> Iterator[None]:
    """A recording that cannot be read any more ends a run that decodes as it goes, and loses nothing of it."""
    try:
        yield
    except BadAudio as error:
        if setup.main:
            save_run(setup, progress)
        told = f"{error.reason}; the run is saved after step {progress.step}, --resume goes on when it can be read"
        raise BadAudio(error.source, told) from error


def _dev_eer_before(setup: Setup, init: Bundle | None, console: Console) -> float | None:
    """The dev EER of the model that a run starts from, told; None without one or without a dev set."""
    if init is None or setup.dev is None or not setup.main:
        return None
    eer = setup.dev.eer(load_model(init.name, init.config.model, init.weights()).to(setup.device))
    text = f"dev EER of {init.folder} before training: {eer:.2%}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    return eer


def _log(setup: Setup, progress: Progress, console: Console) -> AbstractContextManager[Log | None]:
    """The log in the main process, which alone writes files; nothing in the others."""
    if not setup.main:
        return nullcontext()
    recipe = setup.recipe
    return Log(setup.folder, console, start=progress.step, steps=recipe.all_steps, every=recipe.log_every)
