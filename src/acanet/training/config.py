"""A training recipe: typed, strict, read from YAML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from acanet.config import Strict
from acanet.errors import BadConfig

Share = Annotated[float, Field(ge=0, le=1)]


class Range(Strict):
    """An even draw between two values."""

    low: float
    high: float

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, data: Any) -> Any:
        return {"low": data[0], "high": data[1]} if isinstance(data, list | tuple) and len(data) == 2 else data

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"from {self.low} to {self.high} is the wrong way round")
        return self


class ModelChoice(Strict):
    """A registered model, with keys of its config changed."""

    name: str = "acanet-local"
    change: dict[str, Any] = Field({}, description="keys laid over the model's config")


class Data(Strict):
    """What to train on and how it is cut into batches."""

    train: tuple[Path, ...] = Field(min_length=1, description="manifests; relative paths count from the recipe")
    cache: Path = Field(Path("cache"), description="folder of decoded audio, 16 bit; relative to the recipe")
    batch: PositiveInt = Field(32, description="crops in a batch")
    crop_seconds: Range = Range(low=2.0, high=3.0)
    workers: NonNegativeInt = Field(2, description="processes that make batches")


class Augment(Strict):
    """What happens to a crop; each with a probability."""

    speed: Share = Field(0.0, description="probability; a speaker at another speed is another speaker")
    speeds: tuple[PositiveFloat, ...] = (0.9, 1.1)
    noise: Share = 0.0
    noise_snr_db: Range = Range(low=5.0, high=25.0)
    babble: Share = Field(0.0, description="probability of other training speakers talking")
    babble_snr_db: Range = Range(low=8.0, high=25.0)
    babble_speakers: Range = Range(low=3, high=7)
    gain: Share = 0.0
    gain_db: Range = Range(low=-20.0, high=6.0)
    spec: Share = Field(0.0, description="probability of SpecAugment")
    spec_frames: NonNegativeInt = Field(20, description="longest masked stretch of frames")
    spec_mels: NonNegativeInt = Field(10, description="widest masked band of mel bins")
    spec_masks: PositiveInt = Field(2, description="masks along each axis")


class Loss(Strict):
    """Additive angular margin softmax."""

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


class Optimizer(Strict):
    """AdamW with linear warm-up and cosine decay."""

    rate: PositiveFloat = 1e-3
    final_rate: NonNegativeFloat = 1e-6
    warm_up: Share = Field(0.05, description="share of the steps")
    weight_decay: NonNegativeFloat = 0.01
    clip: PositiveFloat = Field(5.0, description="largest norm of the gradient")
    init_rate: PositiveFloat = Field(0.1, description="with --init: the extractor's rate, as a share of `rate`")


class Dev(Strict):
    """What checkpoints are chosen on."""

    manifest: Path
    trials: Path | None = Field(None, description="None: all pairs of utterances")


class Recipe(Strict):
    """Everything that decides a training run."""

    model: ModelChoice = ModelChoice()
    data: Data
    dev: Dev
    augment: Augment = Augment()
    loss: Loss = Loss()
    optimizer: Optimizer = Optimizer()
    steps: PositiveInt = 10_000
    seed: NonNegativeInt = 0
    dev_every: PositiveInt = Field(500, description="steps between dev evaluations")
    save_every: PositiveInt = Field(500, description="steps between checkpoints")
    log_every: PositiveInt = Field(20, description="steps between lines of the log")
    licence: str = Field("unknown", description="under which the trained model may be used")


def read_recipe(path: Path, settings: tuple[str, ...] = ()) -> Recipe:
    """Read a recipe and lay `key.below=value` settings over it.

    Paths in the recipe count from its folder, those in settings from the working directory.

    Raises:
        BadConfig: naming the key, and the nearest known one when it is unknown.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadConfig(path, ["no such recipe"]) from None
    except UnicodeDecodeError:
        raise BadConfig(path, ["not UTF-8"]) from None
    data = _yaml(text, path)
    if not isinstance(data, dict):
        raise BadConfig(path, ["a recipe is a mapping of keys to values"])
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign:
            raise BadConfig("--set", [f"{setting!r} is not key=value"])
        _set(data, key.split("."), _absolute(key, _yaml(value, f"--set {key}")))
    return _with_folder(Recipe.parse(data, path), path.parent)


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe with every default spelt out; `read_recipe` reads it back to an equal one."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)


_PATHS = {"data.train", "data.cache", "dev.manifest", "dev.trials"}


def _yaml(text: str, source: str | Path) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadConfig(source, [f"not YAML: {error}"]) from None


def _absolute(key: str, value: Any) -> Any:
    if key not in _PATHS:
        return value
    if isinstance(value, list):
        return [str(Path(str(item)).absolute()) for item in value]
    return value and str(Path(str(value)).absolute())


def _set(data: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise BadConfig("--set", [f"{key!r} holds a value, it has no {keys[-1]!r}"])
    data[keys[-1]] = value


def _with_folder(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its paths made absolute, as seen from a folder."""
    root = folder.absolute()
    data, dev = recipe.data, recipe.dev
    return recipe.model_copy(
        update={
            "data": data.model_copy(
                update={"train": tuple(root / path for path in data.train), "cache": root / data.cache}
            ),
            "dev": dev.model_copy(update={"manifest": root / dev.manifest, "trials": dev.trials and root / dev.trials}),
        }
    )
