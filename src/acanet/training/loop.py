"""The training loop: batches in, a checkpoint and the best model out.

Every random draw derives from (seed, step, place), so a run that was stopped in any way and resumed ends with the same
weights, bit by bit, as one that was not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from rich.console import Console
from torch import Tensor
from torch.utils.data import DataLoader

from acanet.bundle import Bundle, BundleConfig, write_bundle
from acanet.config import ModelConfig
from acanet.data.augment import spec_masks
from acanet.data.batches import Purpose, TrainingBatches, generator
from acanet.errors import AcanetError, BadConfig, ModelMismatch
from acanet.models.inference import load_model
from acanet.models.registry import build_model, model_config
from acanet.training.card import model_card
from acanet.training.checkpoint import DevRow, State, load_state, save_state
from acanet.training.config import Recipe, read_recipe, recipe_yaml
from acanet.training.corpus import crop_plan, load_corpus
from acanet.training.dev import DevSet
from acanet.training.log import Log
from acanet.training.losses import AngularMarginSoftmax
from acanet.training.schedule import margin_at, rate_at

_STOPPING = b"\nstopping after this step (Ctrl-C again: at once, losing what is not saved)\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: false when it was interrupted; it can be resumed.
        step: steps done.
        best: the look at the dev set that chose the model, if there was one.
        before: dev EER of the weights that it started from (`init` only).
        folder: of the run; the model is in `best/`.
    """

    finished: bool
    step: int
    best: DevRow | None
    before: float | None
    folder: Path


def train(
    recipe: Recipe, out: Path, *, resume: bool = False, init: Bundle | None = None, console: Console | None = None
) -> Outcome:
    """Train a model.

    Args:
        recipe: everything that decides the run.
        out: folder of the run: `recipe.yaml`, `last.pt`, `best/` (a bundle), `log.csv`, `dev.csv`, `tensorboard/`.
        resume: go on from `last.pt`; with none there yet, start.
        init: start from this model's weights, with a new head and a lower rate for the old layers.
        console: where progress goes.

    Raises:
        AcanetError: when `out` holds a run already and `resume` is false.
        BadConfig: when the run in `out` was started with another recipe, or from another model.
        BadManifest: when training and dev share a speaker, or an id stands twice.
        ModelMismatch: when `init` is another architecture than the recipe's.
    """
    console = console or Console(stderr=True)
    _check_free(out, recipe, resume)
    run = _Run(recipe, out, init)
    _claim(out, recipe)
    if resume and not (out / "last.pt").exists():
        console.print(f"no checkpoint in {out} yet: starting at step 0", highlight=False, markup=False, soft_wrap=True)
    if (out / "last.pt").exists():
        run.restore(load_state(out / "last.pt"))
        console.print(f"resuming after step {run.step}", highlight=False)
    before = None
    if init is not None:
        before = run.dev.eer(load_model(init.name, init.config.model, init.weights()).to(run.accelerator.device))
        console.print(
            f"dev EER of {init.folder} before training: {before:.2%}", highlight=False, markup=False, soft_wrap=True
        )
    finished = run.go(console)
    best = min(run.history, key=lambda row: row.eer, default=None)
    return Outcome(finished, run.step, best, before, out)


class _Run:
    def __init__(self, recipe: Recipe, out: Path, init: Bundle | None) -> None:
        self.recipe, self.out = recipe, out
        self.init = None if init is None else init.fingerprint
        set_seed(recipe.seed)
        config = model_config(recipe.model.name, recipe.model.change)
        rate = config.front_end.rate
        self.dev = DevSet(recipe.dev.manifest, recipe.dev.trials, recipe.data.cache, rate, recipe.data.workers)
        heard_before = frozenset() if init is None else init.provenance.speakers
        corpus = load_corpus(recipe.data, recipe.dev, self.dev.speakers, rate, heard_before)
        self.provenance = corpus.provenance
        cuda = torch.cuda.is_available()
        self.accelerator = Accelerator(cpu=not cuda, mixed_precision="bf16" if cuda else "no")
        self.batches = TrainingBatches(
            corpus.cache,
            corpus.speakers,
            crop_plan(recipe.data, recipe.augment, rate),
            recipe.seed,
            recipe.steps,
            (self.accelerator.process_index, self.accelerator.num_processes),
        )
        self.bundle_config = BundleConfig(
            name=recipe.model.name, model=config.model_dump(mode="json"), licence=recipe.licence
        )
        model = build_model(recipe.model.name, config)
        if init is not None:
            _check_same(init, recipe.model.name, config)
            model = load_model(init.name, init.config.model, init.weights())
            self.provenance = init.provenance | self.provenance
        loss = AngularMarginSoftmax(
            model.dim, self.batches.classes, scale=recipe.loss.scale, sub_centres=recipe.loss.sub_centres
        )
        share = recipe.optimizer.init_rate if init is not None else 1.0
        groups = [{"params": model.parameters(), "share": share}, {"params": loss.parameters(), "share": 1.0}]
        optimizer = torch.optim.AdamW(groups, lr=recipe.optimizer.rate, weight_decay=recipe.optimizer.weight_decay)
        self.model, self.loss, self.optimizer = self.accelerator.prepare(model, loss, optimizer)
        self.front_end = self.accelerator.unwrap_model(self.model).front_end
        self.step = 0
        self.history: list[DevRow] = []

    def go(self, console: Console) -> bool:
        """Train to the end, or until somebody presses Ctrl-C; returns whether the end was reached."""
        recipe = self.recipe
        loader: Iterable[tuple[Tensor, Tensor]] = DataLoader(
            self.batches,  # type: ignore[arg-type]
            batch_size=None,
            sampler=range(self.step, recipe.steps),
            num_workers=recipe.data.workers,
            worker_init_fn=_worker_started,
            pin_memory=self.accelerator.device.type == "cuda",
        )
        log = Log(
            self.out, console, start=self.step, steps=recipe.steps, batch=recipe.data.batch, every=recipe.log_every
        )
        with log, _interrupts() as stopped:
            waiting = time.perf_counter()
            for waveforms, classes in loader:
                began = time.perf_counter()
                loss, right = self._learn(waveforms, classes)
                rate, margin = self._rate(), self._margin()
                self.step += 1
                log.step(self.step, loss, right, rate, margin, began - waiting, time.perf_counter() - waiting)
                last = self.step == recipe.steps
                if last or self.step % recipe.dev_every == 0:
                    self._look_at_dev()
                    log.dev(self.history)
                if last or stopped or self.step % recipe.save_every == 0:
                    self._save()
                if stopped and not last:
                    return False
                waiting = time.perf_counter()
        return True

    def restore(self, state: State) -> None:
        """Go back to a saved state.

        Raises:
            BadConfig: when it started from another model.
        """
        if state.init != self.init:
            start = f"from model {state.init}" if state.init else "from fresh weights"
            problem = f"the run started {start}; give --resume the same --init, or none where there was none"
            raise BadConfig(self.out, [problem])
        self.accelerator.unwrap_model(self.model).load_state_dict(state.model)
        self.accelerator.unwrap_model(self.loss).load_state_dict(state.loss)
        self.optimizer.load_state_dict(state.optimizer)
        self.step, self.history = state.step, state.history

    def _learn(self, waveforms: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """One step; returns its loss and accuracy."""
        torch.manual_seed(int(generator(self.recipe.seed, Purpose.MODEL, self.step).integers(2**62)))
        self.model.train()
        device = self.accelerator.device
        with torch.no_grad():
            features, _ = self.front_end(waveforms.to(device))
            features = features.masked_fill(self._hidden(features.shape).to(device), 0.0)
        with self.accelerator.autocast():
            embeddings = self.model(features)
        loss, right = self.loss(embeddings, classes.to(device), self._margin())
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate() * group["share"]
        self.optimizer.zero_grad(set_to_none=True)
        self.accelerator.backward(loss)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.accelerator.clip_grad_norm_(parameters, self.recipe.optimizer.clip)
        self.optimizer.step()
        return loss.detach(), right

    def _hidden(self, shape: torch.Size) -> Tensor:
        """(batch, frames, mels), true where SpecAugment hides; the features' mean is 0 there."""
        config, rng = self.recipe.augment, generator(self.recipe.seed, Purpose.SPEC, self.step)
        hidden = np.zeros(shape, dtype=bool)
        for row in range(shape[0]):
            if rng.random() < config.spec:
                hidden[row] = spec_masks(
                    rng, (shape[1], shape[2]), config.spec_masks, config.spec_frames, config.spec_mels
                )
        return torch.from_numpy(hidden)

    def _rate(self) -> float:
        return rate_at(self.step, self.recipe.steps, self.recipe.optimizer)

    def _margin(self) -> float:
        return margin_at(self.step, self.recipe.steps, self.recipe.loss)

    def _look_at_dev(self) -> None:
        """Take the dev EER, and keep the model when it is the best so far."""
        model = self.accelerator.unwrap_model(self.model)
        row = DevRow(self.step, self.dev.eer(model))
        if row.eer < min((other.eer for other in self.history), default=2.0):
            weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
            card = model_card(self.recipe, row, self.provenance, self.init)
            write_bundle(self.out / "best", self.bundle_config, weights, self.provenance, card)
        self.history.append(row)

    def _save(self) -> None:
        state = State(
            step=self.step,
            model=self.accelerator.unwrap_model(self.model).state_dict(),
            loss=self.accelerator.unwrap_model(self.loss).state_dict(),
            optimizer=self.optimizer.state_dict(),
            history=self.history,
            init=self.init,
        )
        save_state(state, self.out / "last.pt")


def _check_free(out: Path, recipe: Recipe, resume: bool) -> None:
    """See that no run is in the folder, or that it is this one."""
    path = out / "recipe.yaml"
    if not path.exists():
        return
    if not resume:
        raise AcanetError(f"{out} holds a run already; add --resume to go on with it, or choose another --out")
    different = _differences(recipe.model_dump(mode="json"), read_recipe(path).model_dump(mode="json"))
    if different:
        problems = [f"{key} is {ours}, the run has {theirs}" for key, ours, theirs in different]
        raise BadConfig(f"{out} was started with another recipe", problems)


def _claim(out: Path, recipe: Recipe) -> None:
    """Make the folder of the run, once everything that it needs was found to be there."""
    path = out / "recipe.yaml"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        path.write_text(recipe_yaml(recipe), encoding="utf-8")


def _differences(ours: Any, theirs: Any, key: str = "") -> list[tuple[str, Any, Any]]:
    """Where two nested configs differ: the dotted key and both values."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            difference
            for name in ours | theirs
            for difference in _differences(ours.get(name), theirs.get(name), f"{key}.{name}" if key else name)
        ]
    return [] if ours == theirs else [(key, ours, theirs)]


def _check_same(init: Bundle, name: str, config: ModelConfig) -> None:
    if init.name != name:
        raise ModelMismatch(f"model {init.name} to start from", f"{name}, as the recipe says")
    theirs = model_config(init.name, init.config.model)
    different = _differences(config.model_dump(mode="json"), theirs.model_dump(mode="json"))
    if different:
        have = ", ".join(f"{key} {value}" for key, _, value in different)
        want = ", ".join(f"{key} {value}" for key, value, _ in different)
        raise ModelMismatch(f"{name} with {have} to start from", f"{want}, as model.change in the recipe says")


def _worker_started(_: Any) -> None:
    """Ctrl-C reaches the whole group; only the main process decides what it means."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """A list that gets an entry on Ctrl-C, instead of an exception in the middle of a step; a second one interrupts."""
    caught: list[int] = []

    def note(number: int, _: Any) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        os.write(2, _STOPPING)  # a signal may come in the middle of a print, which cannot be entered again

    before = signal.signal(signal.SIGINT, note)
    try:
        yield caught
    finally:
        signal.signal(signal.SIGINT, before)
