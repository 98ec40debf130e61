"""A training recipe: everything that decides a run, typed and strict."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from acanet.config.strict import ConfigPath, Strict
from acanet.data.augment.effects import Augment, Range, Share, within
from acanet.runtime.bundle import SHIPPED

CropSeconds = Annotated[Range, within(0.2, 600)]


def _plain(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name, re.ASCII):
        raise ValueError(f"{name!r} names a folder; letters, digits, '.', '_' and '-' are expected")
    return name


Name = Annotated[str, AfterValidator(_plain)]
"""Of something that gets a folder."""


def _distinct(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds:
        raise ValueError("no seed in it; name one or more, or leave the key out")
    if len(set(seeds)) < len(seeds):
        raise ValueError("a seed stands twice")
    return seeds


Seeds = Annotated[tuple[NonNegativeInt, ...], AfterValidator(_distinct)]


def _several(batch: int) -> int:
    if batch < 2:
        raise ValueError(f"{batch} crops in a batch; batch norm and the loss compare them, so 2 or more are needed")
    return batch


Batch = Annotated[int, AfterValidator(_several)]


def _by_name(model: Any, located: ValidatorFunctionWrapHandler) -> Path:
    path: Path = Path(model) if model in SHIPPED else located(model)
    return path


ModelPath = Annotated[ConfigPath, WrapValidator(_by_name)]
"""The name of a model that ships, as it is, or the folder of one."""


class ModelChoice(Strict):
    """A registered model, with keys of its config changed."""

    name: str = "acanet2"
    change: dict[str, Any] = Field({}, description="keys laid over the model's config")
    init: ModelPath | None = Field(
        None,
        description="`default`, `small` or the folder of a model whose weights training starts from, as with --init; "
        "None: fresh ones. It may have pooling where this one has an aggregator that starts as that pooling",
    )
    freeze: tuple[str, ...] = Field(
        (),
        description="parts of the network that stay as they are, with the statistics of their batch norm: `frames`, "
        "`head`, or what is in them, such as `head.norm`",
    )


class Data(Strict):
    """The speech to train on, and how it is cut into batches."""

    train: tuple[ConfigPath, ...] = Field(min_length=1, description="manifests; relative paths count from the recipe")
    cache: ConfigPath = Field(
        Path("cache"), validate_default=True, description="folder of decoded audio, 16 bit, and of the bank of rooms"
    )
    decode: Literal["once", "always"] = Field(
        "once", description="`once`: into the cache; `always`: each crop from its file, for corpora too large for that"
    )
    batch: Batch = Field(32, description="crops in a batch, 2 or more")
    crop_seconds: CropSeconds = Range(low=2.0, high=3.0)
    sampling_power: Share = Field(
        0.0, description="crops of a speaker go with the seconds of speech to this power; 0: as many of each"
    )
    workers: NonNegativeInt = Field(2, description="processes that make batches")


class Loss(Strict):
    """The additive angular margin softmax."""

    scale: PositiveFloat = 30.0
    margin: NonNegativeFloat = Field(0.2, description="radians")
    margin_rise: tuple[Share, Share] = Field((0.1, 0.4), description="shares of the steps between which it rises")
    sub_centres: PositiveInt = 1

    @model_validator(mode="after")
    def _rises(self) -> Self:
        begin, end = self.margin_rise
        if begin > end:
            raise ValueError(f"margin_rise from {begin} to {end} is the wrong way round")
        return self


TeacherKind = Literal["cosine", "similarity", "both", "direct"]
"""What a model learns of its teacher; see `acanet.training.distillation.TeacherLoss`."""


class Teacher(Strict):
    """A trained model whose embeddings the model learns to give, beside or in place of the loss on speakers."""

    bundle: ModelPath = Field(description="`default`, `small`, or the folder of any model")
    targets: Literal["utterance", "crop"] = Field(
        "utterance",
        description="`utterance`: its embeddings of whole utterances, computed once and kept in the cache; `crop`: of "
        "each crop before its effects, at every step",
    )
    kind: TeacherKind = Field(
        "both",
        description="`cosine`: a linear layer makes its embedding of the model's; `similarity`: the model's cosines "
        "between crops are its own; `both`: the sum; `direct`: its embedding is the model's",
    )
    weight: PositiveFloat = Field(5.0, description="of it, where that of the loss on speakers is 1")


class Optimizer(Strict):
    """AdamW with linear warm-up and cosine decay."""

    rate: PositiveFloat = 1e-3
    final_rate: NonNegativeFloat = 1e-6
    warm_up: Share = Field(0.05, description="share of the steps")
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = Field(5.0, description="largest norm of the gradient")
    init_rate: PositiveFloat = Field(0.1, description="with --init: the extractor's rate, as a share of `rate`")


class LargeMargin(Strict):
    """A second phase after `steps`: longer crops, a larger margin, a low rate, no changed speeds.

    Source: Thienpondt, Desplanques, Demuynck, "The IDLAB VoxSRC-20 submission: large margin fine-tuning and
    quality-aware score calibration in DNN based speaker verification", ICASSP 2021, section 3.
    """

    steps: PositiveInt
    batch: Batch | None = Field(None, description="crops in a batch; None: as before")
    crop_seconds: CropSeconds = Range(low=5.0, high=6.0)
    margin: NonNegativeFloat = Field(0.5, description="radians")
    rate: PositiveFloat = Field(1e-4, description="falls to `optimizer.final_rate` by half a cosine")


class MovingAverage(Strict):
    """The exponential moving average of the weights over all steps."""

    kind: Literal["ema"] = "ema"
    decay: Annotated[float, Field(gt=0, lt=1)] = Field(0.999, description="what remains of the average at a step")


class LastCheckpoints(Strict):
    """The mean of the weights at the last steps that are multiples of `every` before the end."""

    kind: Literal["last"] = "last"
    checkpoints: PositiveInt = Field(5, description="how many")
    every: PositiveInt = Field(500, description="steps between them")


Average = Annotated[MovingAverage | LastCheckpoints, Field(discriminator="kind")]


class DiscriminantFit(Strict):
    """A discriminant projection after the head, fitted to the chosen model (see `acanet.training.fit_discriminant`)."""

    directions: PositiveInt = Field(50, description="that are kept; fewer than the speakers with several utterances")
    ridge: PositiveFloat = Field(1.0, description="added to the variance within speakers, as a share of the mean one")
    lift: PositiveFloat = Field(3.0, description="the constant coordinate, as a multiple of the typical length")
    speeds: tuple[PositiveFloat, ...] = Field(
        (), description="at which each utterance counts once more, as one of another speaker"
    )
    effects: tuple[Augment, ...] = Field((), description="with each of which each utterance counts once more")

    @model_validator(mode="after")
    def _effects_of_a_recording(self) -> Self:
        for number, effect in enumerate(self.effects):
            for name in ("speed", "spec"):
                if getattr(effect, name).probability:
                    hint = "; discriminant.speeds is for other speeds" if name == "speed" else ""
                    raise ValueError(f"effects[{number}] has {name}, which is not an effect of a recording{hint}")
        return self


class Dev(Strict):
    """The dev set, on which checkpoints are chosen."""

    manifest: ConfigPath
    trials: ConfigPath | None = Field(None, description="None: all pairs of utterances")
    per_speaker: PositiveInt | None = Field(
        None, description="for pairs: so many utterances of each speaker, evenly over the manifest; None: all of them"
    )


class Evaluation(Strict):
    """A trial list that the trained model is measured on, by `acanet experiment`."""

    trials: ConfigPath
    manifest: ConfigPath | None = Field(None, description="resolves the names in the list and knows the speakers")
    audio_root: ConfigPath | None = Field(None, description="where paths in the list start")

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.manifest is None and self.audio_root is None:
            raise ValueError("give a manifest or an audio_root, so that the names in the list can be found")
        return self


_HOW_DATA, _HOW_RUN = ("cache", "decode", "workers"), ("save_every", "log_every")
"""Keys of `Data` and `Recipe` that may differ where a run goes on: they are in no weight."""


class Recipe(Strict):
    """Everything that decides a training run."""

    model: ModelChoice = ModelChoice()
    data: Data
    dev: Dev | None = Field(None, description="None: nothing is chosen, the last weights are the model")
    augment: Augment = Augment()
    loss: Loss | None = Field(Loss(), description="on speakers; null: none, a teacher alone, and no speaker is named")
    teacher: Teacher | None = Field(None, description="None: there is none")
    optimizer: Optimizer = Optimizer()
    steps: PositiveInt = Field(10_000, description="of the first phase")
    large_margin: LargeMargin | None = Field(None, description="the second phase; None: there is none")
    average: Average | None = Field(None, description="of weights, is the model; None: the weights as trained are")
    discriminant: DiscriminantFit | None = Field(None, description="fitted after training; None: there is none")
    precision: Literal["float32", "bfloat16"] | None = Field(
        None,
        description="of the products while it trains, and in dev evaluations; None: bfloat16 on a GPU, else float32. "
        "Processors with bfloat16 instructions train about twice as fast with it",
    )
    seed: NonNegativeInt = 0
    dev_every: PositiveInt = Field(500, description="steps between dev evaluations")
    save_every: PositiveInt = Field(500, description="steps between checkpoints")
    log_every: PositiveInt = Field(20, description="steps between lines of the log")
    licence: str = Field("unknown", description="under which the trained model may be used")

    @model_validator(mode="after")
    def _learns_from_somebody(self) -> Self:
        if self.loss is None:
            if self.teacher is None:
                raise ValueError("loss is null, and there is no teacher; nothing would be learned")
            for key in ("large_margin", "discriminant"):
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} needs speakers, and loss is null")
        return self

    @property
    def all_steps(self) -> int:
        """The steps of both phases."""
        return self.steps + (self.large_margin.steps if self.large_margin else 0)

    @property
    def decisive(self) -> Recipe:
        """The recipe with what decides no weights as if nothing had been said of it.

        That is where and by how many processes audio is decoded, and how often the run is saved and told.
        """
        data = self.data.model_copy(update={name: Data.model_fields[name].default for name in _HOW_DATA})
        how = {name: Recipe.model_fields[name].default for name in _HOW_RUN}
        return self.model_copy(update={"data": data, **how})


class Seeding(Strict):
    """The seeds with which a system is trained, each as a system of its own."""

    seeds: Seeds | None = Field(
        None, description="each makes a system: 0 one of the name as it is, another one of the name with `-seed-N`"
    )


class Experiment(Recipe, Seeding):
    """A recipe with all that its file may say: its base, the systems to compare under it, and the trial lists."""

    base: ConfigPath | None = Field(None, description="another recipe, whose keys lie below those of this one")
    title: str | None = Field(None, description="of the experiment, above its results; None: the file's name")
    about: str | None = Field(None, description="what the experiment asks, in Markdown, above its results")
    systems: dict[Name, dict[str, Any]] = Field(
        {}, description="by name: keys laid over this recipe; none: the recipe as it is, alone"
    )
    test: dict[Name, Evaluation] = Field({}, description="by name: trial lists that the trained models are measured on")


def recipe_yaml(recipe: Recipe) -> str:
    """A recipe as YAML with every default spelt out; `read_recipe` reads it back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
