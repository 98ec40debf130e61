"""The plan of a trial list: which trials are wanted of a manifest, and what that asks of its utterances."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from acanet.config.strict import Strict
from acanet.data.draw.possible_pairs import Numbers, SpeakerPairs
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadManifest

RECORDING = "recording"
"""As a field: what an utterance was cut from."""


class Plan(Strict):
    """The trials that are wanted; every number of trials or utterances is the most that is taken."""

    targets: PositiveInt | None = Field(10_000, description="target trials; None: all")
    ratio: PositiveFloat | None = Field(10.0, description="nontarget trials for each target trial; None: all")
    targets_per_speaker: PositiveInt | None = None
    utterances_per_speaker: PositiveInt | None = None
    enrol: PositiveInt = Field(1, description="utterances that a speaker is enrolled with")
    same: tuple[str, ...] = Field((), description="fields that both speakers of a nontarget trial agree on")
    within_years: NonNegativeFloat | None = Field(None, description="between the ages of a nontarget trial's speakers")
    across: str | None = Field(None, description="field, or `recording`, that differs between the sides of a target")
    min_seconds: NonNegativeFloat = 0.0
    max_seconds: PositiveFloat | None = None

    @model_validator(mode="after")
    def _some_length_fits(self) -> Self:
        if self.max_seconds is not None and self.max_seconds < self.min_seconds:
            raise ValueError(f"max_seconds {self.max_seconds:g} is below min_seconds {self.min_seconds:g}")
        return self


def choose(
    utterances: Sequence[Utterance], plan: Plan, generator: np.random.Generator, source: Path
) -> list[Utterance]:
    """The utterances that trials can be of, by speaker, those of a speaker in any order.

    Args:
        utterances: of the manifest; their order does not matter.
        plan: which lengths, and how many of each speaker, are wanted.
        generator: decides which of a speaker's are taken.
        source: the manifest, for errors.

    Raises:
        BadManifest: when lengths matter and are not known, or none fits.
    """
    by_speaker = sorted(_of_length(utterances, plan, source), key=attrgetter("speaker", "id"))
    kept: list[Utterance] = []
    for _, group in itertools.groupby(by_speaker, key=attrgetter("speaker")):
        mine = list(group)
        if plan.utterances_per_speaker is not None and len(mine) > plan.utterances_per_speaker:
            mine = [mine[row] for row in generator.choice(len(mine), plan.utterances_per_speaker, replace=False)]
        if len(mine) >= plan.enrol:
            kept += mine
    return kept


def pair_speakers(utterances: Sequence[Utterance], speakers: Numbers, plan: Plan, source: Path) -> SpeakerPairs:
    """The pairs of speakers that can be compared in nontarget trials.

    Args:
        utterances: by speaker.
        speakers: (utterances,) number of the speaker, from 0.
        plan: in what two speakers agree.
        source: the manifest, for errors.

    Raises:
        BadManifest: for utterances without a field that matters, a speaker with two values of one, or an age that is
            no number.
    """
    first = np.flatnonzero(np.diff(speakers, prepend=-1))
    groups = np.zeros((len(first), 1 + len(plan.same)), np.int64)
    for column, field in enumerate(plan.same, 1):
        values = _values(utterances, field, source)
        codes = numbered(values)
        odd = np.flatnonzero(codes != codes[first][speakers])
        if odd.size:
            both = f"{values[first[speakers[odd[0]]]]!r} and {values[odd[0]]!r}"
            reason = f"speaker {utterances[odd[0]].speaker!r} has several values of {field!r} ({both})"
            raise BadManifest(source, None, f"{reason}; nontarget trials match speakers by the one that each has")
        groups[:, column] = codes[first]
    ages, years = np.zeros(len(first)), np.inf
    if plan.within_years is not None:
        ages = np.bincount(speakers, _ages(utterances, source)) / np.bincount(speakers)
        years = plan.within_years
    return SpeakerPairs.matched(numbered(map(tuple, groups.tolist())), ages, years)


def number_sessions(utterances: Sequence[Utterance], speakers: Numbers, plan: Plan, source: Path) -> Numbers:
    """The session of each utterance, (utterances,), a number from 0, of one speaker; without `across`, one of its own.

    Args:
        utterances: by speaker.
        speakers: (utterances,) number of the speaker, from 0.
        plan: which field tells sessions apart.
        source: the manifest, for errors.

    Raises:
        BadManifest: for utterances without the field.
    """
    if plan.across is None:
        return np.arange(len(utterances))
    values = _values(utterances, plan.across, source)
    return numbered(zip(speakers.tolist(), values, strict=True))


def numbered(values: Iterable[object]) -> Numbers:
    """The number of each value, (values,), from 0, in order of appearance."""
    number: defaultdict[str, int] = defaultdict(itertools.count().__next__)
    return np.array([number[str(value)] for value in values], np.int64)


def _of_length(utterances: Sequence[Utterance], plan: Plan, source: Path) -> Sequence[Utterance]:
    if plan.min_seconds == 0 and plan.max_seconds is None:
        return utterances
    least, most = plan.min_seconds, np.inf if plan.max_seconds is None else plan.max_seconds
    lengths = _values(utterances, "duration", source)
    kept = [utterance for utterance, length in zip(utterances, lengths, strict=True) if least <= length <= most]
    if not kept:
        raise BadManifest(source, None, f"none of {len(utterances):,} utterances lasts {least:g} to {most:g} s")
    return kept


def _ages(utterances: Sequence[Utterance], source: Path) -> NDArray[np.float64]:
    ages = _values(utterances, "age", source)
    try:
        years = np.array([float(str(age)) for age in ages])
    except ValueError as error:
        raise BadManifest(source, None, f"an age that is no number of years: {error}") from None
    if not np.isfinite(years).all():
        raise BadManifest(source, None, "an age that is not finite; a number of years is expected")
    return years


def _values(utterances: Sequence[Utterance], field: str, source: Path) -> list[Any]:
    """The values that utterances have as a field."""
    own = {RECORDING: attrgetter("recording"), "duration": attrgetter("duration")}
    values = [own[field](item) if field in own else item.fields.get(field) for item in utterances]
    if missing := sum(value is None for value in values):
        reason = f"{missing:,} of {len(values):,} utterances have no {field!r}, which a condition needs"
        raise BadManifest(source, None, f"{reason}; add it to the manifest, or drop the condition")
    return values
