"""Trial lists drawn from a manifest: which of its utterances to compare, so that the figures say something.

Target trials are spread evenly over speakers, nontarget trials over pairs of speakers; no trial comes twice, in
either direction. What is drawn depends on the utterances and the seed, not on the manifest's order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from acanet.data.draw.census import Census
from acanet.data.draw.plan import Plan, choose, number_sessions, numbered, pair_speakers
from acanet.data.draw.possible_pairs import Numbers, Voices
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.errors import BadManifest, few

MOST = 50_000_000
"""Trials in a list."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """A drawn list.

    Attributes:
        utterances: those that are in a trial, by speaker.
        models: (models, enrol) rows of the utterances that each model is enrolled with; None: utterances are enrolled.
        enrol: (trials,) the model on the enrolment side, or the row of the utterance.
        test: (trials,) the row of the utterance on the test side.
        target: (trials,) whether both sides are the same speaker; targets come first.
        targets: what the target trials are.
        nontargets: what the nontarget trials are.
    """

    utterances: list[Utterance]
    models: Numbers | None
    enrol: Numbers
    test: Numbers
    target: NDArray[np.bool_]
    targets: Census
    nontargets: Census

    def summary(self) -> list[str]:
        """Lines for the terminal that tell what was drawn."""
        speakers = len({utterance.speaker for utterance in self.utterances})
        models = "" if self.models is None else f", {len(self.models):,} models of {self.models.shape[1]}"
        return [
            f"{len(self.target):,} trials of {speakers:,} speakers, {len(self.utterances):,} utterances{models}",
            f"  target     {self.targets.describe('speakers')}",
            f"  nontarget  {self.nontargets.describe('pairs of speakers')}",
        ]


def draw_trials(utterances: Sequence[Utterance], plan: Plan, *, seed: int, source: Path) -> Drawn:
    """Draw a trial list from utterances.

    Utterances of the wanted length are taken first, then `utterances_per_speaker` of them at random. Of two utterances
    either may be the enrolment, at random. With `enrol` above 1, the utterances of a speaker are dealt into models of
    so many, each into one model at most; with `across`, into models of one session as far as it goes. A model is
    tested with utterances that are not in it, and with `across`, for targets, with those of none of its sessions.
    Speakers with fewer utterances than a model needs are passed over. A speaker's age is the mean of what the
    utterances say.

    Time and memory grow with the trials and the utterances, not with the pairs of utterances.

    Args:
        utterances: of the manifest.
        plan: what is wanted.
        seed: of all that is drawn.
        source: the manifest, for errors.

    Raises:
        BadManifest: for fewer than two speakers, no target or no nontarget trials, more than 50 million trials,
            utterances that lack a field that the plan needs, or a speaker with two values of a field of `same`.
    """
    generator = np.random.default_rng(seed)
    chosen = choose(utterances, plan, generator, source)
    speakers = numbered(utterance.speaker for utterance in chosen)
    if len(set(speakers)) < 2:
        enough = f" with {plan.enrol} utterances or more" if plan.enrol > 1 else ""
        raise BadManifest(source, None, f"trials need two speakers{enough}; this manifest has fewer")
    pairs = pair_speakers(chosen, speakers, plan, source)
    sessions = number_sessions(chosen, speakers, plan, source)
    order, voices = Voices.arrange(speakers, sessions, plan.enrol, generator)

    possible = int(voices.target_pairs().sum()), voices.count_nontargets(pairs)
    if not all(possible):
        raise BadManifest(source, None, _none(plan, target=not possible[0]))
    _check_number(possible[0] if plan.targets is None else min(plan.targets, possible[0]), source)
    targets = voices.draw_targets(plan.targets, plan.targets_per_speaker, generator)
    count = len(targets[0])
    wanted = possible[1] if plan.ratio is None else min(possible[1], max(1, round(plan.ratio * count)))
    _check_number(count + wanted, source)
    nontargets = voices.draw_nontargets(pairs, wanted, generator)
    counted = tuple(
        Census.take(voices.speaker_of_unit(units), voices.speaker_of(tests), most)
        for (units, tests), most in zip((targets, nontargets), possible, strict=True)
    )

    unit, test = np.concatenate([targets, nontargets], axis=1)
    enrolled, enrol = _renumbered(unit)
    members = voices.members(enrolled)
    used, rows = _renumbered(np.concatenate([members.ravel(), test]))
    members, test = rows[: members.size].reshape(members.shape), rows[members.size :]
    if plan.enrol == 1:
        enrol = members[enrol, 0]
        swapped = generator.random(len(test)) < 0.5
        enrol, test = np.where(swapped, test, enrol), np.where(swapped, enrol, test)
    in_trials = [chosen[place] for place in order[used]]
    target = np.arange(len(test)) < count
    return Drawn(in_trials, None if plan.enrol == 1 else members, enrol, test, target, *counted)


def check_unheard(utterances: Sequence[Utterance], training: Path, source: Path) -> None:
    """See that nobody who is trained on is in a manifest to test on.

    Raises:
        BadManifest: counting and naming the speakers who are.
    """
    trained = {utterance.speaker for utterance in read_manifest(training)}
    shared = sorted(trained & {utterance.speaker for utterance in utterances})
    if shared:
        reason = f"{len(shared)} of its speakers ({few(shared)}) are in {training} too"
        raise BadManifest(source, None, f"{reason}; figures on them say nothing about new voices")


def _renumbered(numbers: Numbers) -> tuple[Numbers, Numbers]:
    """The numbers that there are, sorted, and the place of each among them; quicker than sorting, as they are small."""
    there = np.zeros(numbers.max() + 1, np.bool_)
    there[numbers] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[numbers]


def _none(plan: Plan, *, target: bool) -> str:
    """The reason why there are no trials of a class."""
    if target:
        several = "two utterances" if plan.enrol == 1 else f"{plan.enrol} utterances to enrol and another to test"
        other = "" if plan.across is None else f" of another {plan.across!r}"
        return f"no target trials: no speaker has {several}{other}"
    agree = " and ".join(f"{field!r}" for field in plan.same)
    matched = [f"agree on {agree}"] if agree else []
    if plan.within_years is not None:
        matched.append(f"are at most {plan.within_years:g} years apart")
    return f"no nontarget trials: no two speakers {' and '.join(matched)}"


def _check_number(count: int, source: Path) -> None:
    if count > MOST:
        raise BadManifest(source, None, f"{count:,} trials; at most {MOST:,} are drawn, so ask for fewer")
