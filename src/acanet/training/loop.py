"""The training loop: batches in, a checkpoint and the best model out.

Every random draw derives from (seed, step, place), so a run that was stopped in any way and resumed ends with the same
weights, bit by bit, as one that was not.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from acanet.data.augment.chain import Chain
from acanet.data.augment.functions import spec_masks
from acanet.data.feed.batches import Purpose, TrainingBatches, generator
from acanet.errors import AcanetError, BadConfig, ModelMismatch
from acanet.models.config import ExtractorConfig, ModelConfig
from acanet.models.extractor import Extractor
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.registry import build_model, model_config
from acanet.runtime.bundle import Bundle, BundleConfig, write_bundle
from acanet.training.average import averaged
from acanet.training.card import model_card
from acanet.training.checkpoint import DevRow, State, load_state, save_state
from acanet.training.config import Recipe
from acanet.training.corpus import crop_stages, load_banks, load_corpus
from acanet.training.dev import DevSet
from acanet.training.discriminant import Fitted, Views, check_discriminant, with_discriminant
from acanet.training.log import Log
from acanet.training.losses import AngularMarginSoftmax
from acanet.training.memory import keep_freed_memory
from acanet.training.recipe import read_recipe, recipe_yaml
from acanet.training.schedule import is_averaged, margin_at, rate_at

_STOPPING = b"\nstopping after this step (Ctrl-C again: at once, losing what is not saved)\n"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        finished: false when it was interrupted; it can be resumed.
        step: steps done.
        best: the look at the dev set that chose the model, if there was one.
        before: dev EER of the weights that it started from (with `init` and a dev set).
        folder: of the run; the model is in `best/`.
        main: whether this is the process, of several started by torchrun, that writes and tells.
    """

    finished: bool
    step: int
    best: DevRow | None
    before: float | None
    folder: Path
    main: bool


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
        AcanetError: when `out` holds a run already and `resume` is false; when the discriminant of the recipe has more
            directions than the training speakers span.
        BadConfig: when the run in `out` was started with another recipe, or from another model; when the model has no
            place for a discriminant, or brings one.
        BadManifest: when training and dev share a speaker, or an id stands twice.
        ModelMismatch: when `init` is another architecture than the recipe's.
    """
    console = console or Console(stderr=True)
    _check_free(out, recipe, resume)
    keep_freed_memory()
    run = _Run(recipe, out, init)
    main = run.accelerator.is_main_process
    console.quiet |= not main
    if main:
        _claim(out, recipe)
    run.accelerator.wait_for_everyone()
    if run.dev is None:
        last = "average of the weights is" if recipe.average else "weights are"
        console.print(f"no dev set: nothing is chosen, the last {last} the model", highlight=False)
    if resume and not (out / "last.pt").exists():
        console.print(f"no checkpoint in {out} yet: starting at step 0", highlight=False, markup=False, soft_wrap=True)
    if (out / "last.pt").exists():
        run.restore(load_state(out / "last.pt"))
        console.print(f"resuming after step {run.step}", highlight=False)
    before = None
    if init is not None and run.dev is not None and main:
        before = run.dev.eer(load_model(init.name, init.config.model, init.weights()).to(run.accelerator.device))
        console.print(
            f"dev EER of {init.folder} before training: {before:.2%}", highlight=False, markup=False, soft_wrap=True
        )
    finished = run.go(console)
    best = min(run.history, key=lambda row: row.eer, default=None)
    return Outcome(finished, run.step, best, before, out, main)


class _Run:
    def __init__(self, recipe: Recipe, out: Path, init: Bundle | None) -> None:
        self.recipe, self.out = recipe, out
        self.init = None if init is None else init.fingerprint
        set_seed(recipe.seed)
        config = model_config(recipe.model.name, recipe.model.change)
        if init is not None:
            _check_same(init, recipe.model.name, config)
        rate = config.front_end.rate
        cuda = torch.cuda.is_available()
        self.bfloat16 = (recipe.precision or ("bfloat16" if cuda else "float32")) == "bfloat16"
        # Mixed precision is not Accelerate's: of that, a process has one kind for all its runs.
        self.accelerator = Accelerator(cpu=not cuda, mixed_precision="no")
        with self.accelerator.main_process_first():  # the others find everything decoded
            self.dev = DevSet(recipe.dev, recipe.data.cache, rate, recipe.data.workers) if recipe.dev else None
            dev_speakers = self.dev.speakers if self.dev else frozenset()
            heard_before = frozenset() if init is None else init.provenance.speakers
            corpus = load_corpus(recipe.data, rate, dev_speakers, heard_before)
            effects = recipe.discriminant.effects if recipe.discriminant else ()
            self.chains = [
                Chain(effect, load_banks(effect, recipe.data, rate, recipe.seed), rate) for effect in effects
            ]
            banks = load_banks(recipe.augment, recipe.data, rate, recipe.seed)
        check_discriminant(recipe, config, corpus.speakers)
        self.provenance = corpus.provenance
        self.batches = TrainingBatches(
            corpus.audio,
            corpus.speakers,
            crop_stages(recipe, rate),
            recipe.seed,
            rate,
            banks,
            (self.accelerator.process_index, self.accelerator.num_processes),
            recipe.data.sampling_power,
        )
        self.bundle_config = BundleConfig(
            name=recipe.model.name, model=config.model_dump(mode="json"), licence=recipe.licence
        )
        model = build_model(recipe.model.name, config)
        if init is not None:
            model = load_model(init.name, init.config.model, init.weights())
            if isinstance(model, Extractor):
                model = model.with_discriminant(None)  # which belongs to the weights of before
            self.provenance = init.provenance | self.provenance
        loss = AngularMarginSoftmax(
            model.dim,
            self.batches.classes,
            scale=recipe.loss.scale,
            sub_centres=recipe.loss.sub_centres,
            branches=config.branches if isinstance(config, ExtractorConfig) else 1,
        )
        share = recipe.optimizer.init_rate if init is not None else 1.0
        groups = [{"params": model.parameters(), "share": share}, {"params": loss.parameters(), "share": 1.0}]
        optimizer = torch.optim.AdamW(groups, lr=recipe.optimizer.rate, weight_decay=recipe.optimizer.weight_decay)
        self.model, self.loss, self.optimizer = self.accelerator.prepare(model, loss, optimizer)
        self.average = averaged(self.weights, recipe.average) if recipe.average else None
        self.front_end = self.weights.front_end
        self.step = 0
        self.history: list[DevRow] = []

    @property
    def weights(self) -> Any:
        """The model as trained."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def candidate(self) -> Any:
        """The model that the run is for: the average, once there is one, else the model as trained."""
        return self.average.module if self.average is not None and self.average.n_averaged else self.weights

    def go(self, console: Console) -> bool:
        """Train to the end, or until somebody presses Ctrl-C; returns whether the end was reached."""
        with _interrupts() as stopped:
            return self._train(console, stopped) and self._discriminate(console, stopped)

    def _train(self, console: Console, stopped: list[int]) -> bool:
        recipe, steps = self.recipe, self.recipe.all_steps
        loader: Iterable[tuple[Tensor, Tensor]] = self._loader(self.batches, range(self.step, steps))
        with self._log(console) as log:
            waiting = time.perf_counter()
            for waveforms, classes in loader:
                began = time.perf_counter()
                loss, right = self._learn(waveforms, classes)
                rate, margin = self._rate(), self._margin()
                self.step += 1
                if self.average is not None and is_averaged(self.step, recipe):
                    self.average.update_parameters(self.weights)
                now = time.perf_counter()
                if log is not None:
                    log.step(self.step, loss, right, rate, margin, len(waveforms), began - waiting, now - waiting)
                    self._look_and_save(log, bool(stopped))
                if stopped and self.step < steps:
                    return False
                waiting = time.perf_counter()
        return True

    def _loader(self, dataset: Any, items: range, **how: Any) -> Iterable[Any]:
        return DataLoader(
            dataset,
            batch_size=None,
            sampler=items,
            num_workers=self.recipe.data.workers,
            worker_init_fn=_worker_started,
            pin_memory=self.accelerator.device.type == "cuda",
            **how,
        )

    def _log(self, console: Console) -> AbstractContextManager[Log | None]:
        """The log in the main process, which alone writes files; nothing in the others."""
        if not self.accelerator.is_main_process:
            return nullcontext()
        return Log(self.out, console, start=self.step, steps=self.recipe.all_steps, every=self.recipe.log_every)

    def _look_and_save(self, log: Log, stopped: bool) -> None:
        """What is due after a step."""
        recipe = self.recipe
        last = self.step == recipe.all_steps
        if self.dev is not None and (last or self.step % recipe.dev_every == 0):
            self._look_at_dev(self.dev)
            log.dev(self.history)
        if self.dev is None and last:
            self._keep(None)
        if last or stopped or self.step % recipe.save_every == 0:
            self._save()

    def restore(self, state: State) -> None:
        """Go back to a saved state.

        Raises:
            BadConfig: when it started from another model.
        """
        if state.init != self.init:
            start = f"from model {state.init}" if state.init else "from fresh weights"
            problem = f"the run started {start}; give --resume the same --init, or none where there was none"
            raise BadConfig(self.out, [problem])
        self.weights.load_state_dict(state.model)
        self.accelerator.unwrap_model(self.loss).load_state_dict(state.loss)
        self.optimizer.load_state_dict(state.optimizer)
        if self.average is not None and state.average is not None:
            self.average.load_state_dict(state.average)
        self.step, self.history = state.step, state.history

    def _learn(self, waveforms: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """One step; returns its loss and accuracy."""
        torch.manual_seed(int(generator(self.recipe.seed, Purpose.MODEL, self.step).integers(2**62)))
        self.model.train()
        device = self.accelerator.device
        with torch.no_grad():
            features, _ = self.front_end(waveforms.to(device))
            features = features.masked_fill(self._hidden(features.shape).to(device), 0.0)
        with self._precision():
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
        spec, rng = self.recipe.augment.spec, generator(self.recipe.seed, Purpose.SPEC, self.step)
        hidden = np.zeros(shape, dtype=bool)
        for row in range(shape[0]):
            if spec.happens(rng):
                hidden[row] = spec_masks(rng, (shape[1], shape[2]), spec.masks, spec.frames, spec.mels)
        return torch.from_numpy(hidden)

    def _rate(self) -> float:
        return rate_at(self.step, self.recipe)

    def _margin(self) -> float:
        return margin_at(self.step, self.recipe)

    def _look_at_dev(self, dev: DevSet) -> None:
        """Take the dev EER, and keep the model when it is the best so far."""
        row = DevRow(self.step, self._eer(dev, self.candidate))
        if row.eer < min((other.eer for other in self.history), default=2.0):
            self._keep(row)
        self.history.append(row)

    def _precision(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.accelerator.device.type, torch.bfloat16, enabled=self.bfloat16)

    def _eer(self, dev: DevSet, model: Any) -> float:
        with self._precision():
            return dev.eer(model)

    def _keep(self, chosen: DevRow | None) -> None:
        """Write the model of now as the one of the run."""
        self._write(self.candidate, self.bundle_config, self.step, chosen)

    def _write(
        self, model: Any, config: BundleConfig, step: int, chosen: DevRow | None, fitted: Fitted | None = None
    ) -> None:
        weights = {name: value.cpu().numpy() for name, value in model.state_dict().items()}
        card = model_card(self.recipe, step, chosen, self.provenance, self.init, fitted)
        write_bundle(self.out / "best", config, weights, self.provenance, card)

    def _discriminate(self, console: Console, stopped: list[int]) -> bool:
        """Fit the discriminant of the model in `best/`, unless that is done; false when Ctrl-C came before its end."""
        wanted = self.recipe.discriminant
        if wanted is None or not self.accelerator.is_main_process:
            return True
        best = Bundle.load(self.out / "best")
        model = load_model(best.name, best.config.model, best.weights()).to(self.accelerator.device)
        if model.config.discriminant is not None:
            return True
        views = Views(self.batches, wanted.speeds, self.chains, self.front_end.config.rate)
        embeddings = self._embed(views, model, console, stopped)
        if embeddings is None:
            return False
        model = with_discriminant(model, embeddings, views.speakers, wanted)
        eer = None if self.dev is None else self._eer(self.dev, model)
        chosen = min(self.history, key=lambda row: row.eer, default=None)
        step = self.recipe.all_steps if chosen is None else chosen.step
        config = self.bundle_config.model_copy(update={"model": model.config.model_dump(mode="json")})
        speakers = len({self.batches.speakers[utterance] for utterance in views.utterances})
        self._write(model, config, step, chosen, Fitted(wanted, len(views.utterances), speakers, eer))
        rates = "" if chosen is None or eer is None else f": dev EER {eer:.2%}, {chosen.eer:.2%} without it"
        console.print(f"discriminant fitted{rates}", highlight=False, soft_wrap=True)
        return True

    def _embed(self, views: Views, model: Any, console: Console, stopped: list[int]) -> NDArray[np.float32] | None:
        """Embeddings (views, dim); None when somebody pressed Ctrl-C."""
        chunks = self._loader(views, range(len(views)), collate_fn=list)
        embedded = []
        for waveforms in track(chunks, "Fitting the discriminant", len(views), console=console):
            if stopped:
                return None
            with self._precision():
                embedded.append(embed_waveforms(model, waveforms))
        return np.concatenate(embedded)

    def _save(self) -> None:
        state = State(
            step=self.step,
            model=self.weights.state_dict(),
            loss=self.accelerator.unwrap_model(self.loss).state_dict(),
            optimizer=self.optimizer.state_dict(),
            average=None if self.average is None else self.average.state_dict(),
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
        raise ModelMismatch(
            f"model {init.name} to start from", f"{name}, as the recipe says; --set model.name={init.name} changes that"
        )
    theirs = model_config(init.name, init.config.model)
    ours, others = (each.model_dump(mode="json", exclude={"discriminant"}) for each in (config, theirs))
    different = _differences(ours, others)
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
