"""The parts of a run: data, network, loss, optimizer, average and dev set, built in their order and checked.

Weights are drawn from the recipe's seed as the first thing that torch draws, the network's before those of the loss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import nn
from torch.optim.swa_utils import AveragedModel

from acanet.data.augment.chain import Banks, Chain
from acanet.data.feed.batches import TrainingBatches
from acanet.errors import BadConfig
from acanet.models.config import ExtractorConfig, ModelConfig
from acanet.models.registry import model_config
from acanet.runtime.bundle import Bundle, BundleConfig, Provenance
from acanet.training.average import averaged
from acanet.training.corpus import Corpus, crop_phases, load_banks, load_corpus
from acanet.training.dev import DevSet
from acanet.training.distillation import TeacherLoss
from acanet.training.fit_discriminant import check_discriminant
from acanet.training.loader import load_items
from acanet.training.losses import AngularMarginSoftmax
from acanet.training.objective import Objective
from acanet.training.recipe import Recipe
from acanet.training.sources import Source
from acanet.training.start import check_frozen, check_start, freeze, old_and_new, starting_network
from acanet.training.targets import CropTeacher, Teacher, UtteranceTeacher, open_teacher, utterance_targets


@dataclass(frozen=True, eq=False)
class Setup:
    """Everything that a run works with, as `set_up` built it.

    Attributes:
        recipe: everything that decides the run.
        folder: of the run.
        accelerator: the device, and the processes that share the work.
        bfloat16: whether the products of the network are in it.
        batches: the training batches, by step.
        chains: of the effects with which the discriminant hears each utterance once more.
        dev: the dev set; None: nothing is chosen.
        provenance: what the model was trained on, with what it was started from and who taught it.
        sources: the manifests that it is trained on, as its card tells of them.
        config: of the bundle that the model becomes.
        init: fingerprint of the model that the run starts from; None: fresh weights.
        model: the network, as the accelerator prepared it.
        frozen: the parts of it that stay as they are.
        teacher: says what embeddings should be; None: there is none.
        taught_by: the teacher's bundle; None without one.
        loss: an `Objective`, with the centres of the speakers, likewise.
        optimizer: of both, in groups whose `share` is that of the schedule's rate.
        average: of the weights; None: the weights as trained are the model.
    """

    recipe: Recipe
    folder: Path
    accelerator: Accelerator
    bfloat16: bool
    batches: TrainingBatches
    chains: Sequence[Chain]
    dev: DevSet | None
    provenance: Provenance
    sources: tuple[Source, ...]
    config: BundleConfig
    init: str | None
    teacher: Teacher | None
    taught_by: Bundle | None
    model: Any
    frozen: Sequence[nn.Module]
    loss: Any
    optimizer: Any
    average: AveragedModel | None

    @property
    def main(self) -> bool:
        """Whether this is the process, of several started by torchrun, that writes and tells."""
        return bool(self.accelerator.is_main_process)

    @property
    def device(self) -> torch.device:
        """The device that computes."""
        device: torch.device = self.accelerator.device
        return device

    @property
    def weights(self) -> Any:
        """The network as trained."""
        return self.accelerator.unwrap_model(self.model)

    @property
    def candidate(self) -> Any:
        """The network that the run is for: the average, once there is one, else the network as trained."""
        return self.average.module if self.average is not None and self.average.n_averaged else self.weights

    def precision(self) -> AbstractContextManager[Any]:
        """The context in which the network computes in the recipe's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16)

    def loader(self, dataset: Any, items: range) -> Iterator[Any]:
        """The items of a dataset in their order, made by the recipe's number of processes; errors as `load_items`."""
        return load_items(dataset, items, self.recipe.data.workers)


@dataclass(frozen=True, eq=False)
class _Speech:
    """The speech of a run: the training corpus, what is mixed into it, and the dev set."""

    corpus: Corpus
    banks: Banks
    chains: Sequence[Chain]
    dev: DevSet | None


def set_up(recipe: Recipe, folder: Path, init: Bundle | None = None) -> Setup:
    """Build what a run works with; nothing is written but the cache of decoded audio.

    Args:
        recipe: everything that decides the run.
        folder: of the run.
        init: the model to start from; None: fresh weights.

    Raises:
        AcanetError, BadConfig, BadManifest, ModelMismatch: as `train`.
    """
    taught_by = None if recipe.teacher is None else Bundle.load(recipe.teacher.bundle)
    config = model_config(recipe.model.name, recipe.model.change)
    if init is not None:
        check_start(init, recipe.model.name, config)
    check_frozen(recipe.model)
    cuda = torch.cuda.is_available()
    # Mixed precision is not Accelerate's: of that, a process has one kind for all its runs.
    accelerator = Accelerator(cpu=not cuda, mixed_precision="no")
    with accelerator.main_process_first():  # the others find everything decoded
        speech = _load(recipe, config.front_end.rate, [each for each in (init, taught_by) if each is not None])
    check_discriminant(recipe, config, speech.corpus.speakers)
    batches = _batches(recipe, config.front_end.rate, speech, accelerator)
    with accelerator.main_process_first():
        teacher = None if taught_by is None else _teacher(recipe, taught_by, batches, config.front_end.rate)
    set_seed(recipe.seed)  # here, so that weights do not depend on whether a teacher, of torch too, had to be loaded
    model = starting_network(recipe.model.name, config, init)
    frozen = freeze(model, recipe.model.freeze)
    loss = _objective(recipe, config, model.dim, batches.classes, teacher)
    optimizer = _optimizer(recipe, config, model, loss, init)
    model, loss, optimizer = accelerator.prepare(model, loss, optimizer)
    weights = accelerator.unwrap_model(model)
    provenance = speech.corpus.provenance
    for heard_before in (taught_by, init):
        provenance = provenance if heard_before is None else heard_before.provenance | provenance
    return Setup(
        recipe=recipe,
        folder=folder,
        accelerator=accelerator,
        bfloat16=(recipe.precision or ("bfloat16" if cuda else "float32")) == "bfloat16",
        batches=batches,
        chains=speech.chains,
        dev=speech.dev,
        provenance=provenance,
        sources=speech.corpus.sources,
        config=BundleConfig(name=recipe.model.name, model=config.model_dump(mode="json"), licence=recipe.licence),
        init=None if init is None else init.fingerprint,
        teacher=teacher,
        taught_by=taught_by,
        model=model,
        frozen=frozen,
        loss=loss,
        optimizer=optimizer,
        average=averaged(weights, recipe.average) if recipe.average else None,
    )


def _load(recipe: Recipe, rate: int, before: Sequence[Bundle]) -> _Speech:
    """Read and decode all speech of a run, or find it decoded; `before` are models whose speakers are none of dev."""
    data, effects = recipe.data, recipe.discriminant.effects if recipe.discriminant else ()
    dev = DevSet(recipe.dev, data.cache, rate, data.workers) if recipe.dev else None
    heard_before = frozenset[str]().union(*(bundle.provenance.speakers for bundle in before))
    corpus = load_corpus(recipe, rate, dev.speakers if dev else frozenset(), heard_before)
    chains = [Chain(effect, load_banks(effect, data, rate, recipe.seed), rate) for effect in effects]
    return _Speech(corpus, load_banks(recipe.augment, data, rate, recipe.seed), chains, dev)


def _batches(recipe: Recipe, rate: int, speech: _Speech, accelerator: Accelerator) -> TrainingBatches:
    phases, processes = crop_phases(recipe, rate), accelerator.num_processes
    if (least := min(phase.batch for phase in phases)) < 2 * processes:
        problem = f"a batch of {least} crops for {processes} processes; each needs two or more of them"
        raise BadConfig("the recipe", [problem])
    return TrainingBatches(
        speech.corpus.audio,
        speech.corpus.speakers,
        phases,
        recipe.seed,
        rate,
        speech.banks,
        part=(accelerator.process_index, processes),
        power=recipe.data.sampling_power,
        named=speech.corpus.named,
        clean=recipe.teacher is not None and recipe.teacher.targets == "crop",
    )


def _teacher(recipe: Recipe, bundle: Bundle, batches: TrainingBatches, rate: int) -> Teacher:
    """The teacher of a run, with what it says of whole utterances, where that is what the run learns from."""
    network = open_teacher(bundle, rate)
    if recipe.teacher is not None and recipe.teacher.targets == "crop":
        return CropTeacher(network)
    data = recipe.data
    table = utterance_targets(bundle, batches.audio, batches.voices, data.cache / "targets", data.workers)
    return UtteranceTeacher(table)


def _objective(recipe: Recipe, config: ModelConfig, dim: int, classes: int, teacher: Teacher | None) -> Objective:
    speakers = None
    if recipe.loss is not None:
        speakers = AngularMarginSoftmax(
            dim,
            classes,
            scale=recipe.loss.scale,
            sub_centres=recipe.loss.sub_centres,
            branches=config.branches if isinstance(config, ExtractorConfig) else 1,
        )
    if recipe.teacher is None or teacher is None:
        return Objective(speakers, None, 0.0)
    if recipe.teacher.kind == "direct" and teacher.dim != dim:
        problem = f"direct compares embeddings as they are, of {dim} numbers with {teacher.dim} of the teacher"
        raise BadConfig("teacher.kind", [f"{problem}; take cosine or similarity"])
    return Objective(speakers, TeacherLoss(dim, teacher.dim, recipe.teacher.kind), recipe.teacher.weight)


def _optimizer(
    recipe: Recipe, config: ModelConfig, model: Any, loss: Objective, init: Bundle | None
) -> torch.optim.AdamW:
    """AdamW over the weights of the network, at a share of the rate when they are old, and those of the loss.

    Raises:
        BadConfig: when all of them are frozen.
    """
    if not any(parameter.requires_grad for part in (model, loss) for parameter in part.parameters()):
        raise BadConfig("model.freeze", ["nothing is left that could learn; leave out a part"])
    share = 1.0 if init is None else recipe.optimizer.init_rate
    old, new = old_and_new(model, config, init)
    groups = [{"params": old, "share": share}, {"params": [*new, *loss.parameters()], "share": 1.0}]
    return torch.optim.AdamW(groups, lr=recipe.optimizer.rate, weight_decay=recipe.optimizer.weight_decay)
