"""Pairs that a trial can be of, numbered without being listed.

Utterances lie in one row, those of a speaker side by side. What is enrolled is a unit: one utterance, or a model of
some that lie side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from acanet.data.draw.sampling import draw_each, even_shares

Numbers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpeakerPairs:
    """Pairs of speakers that a nontarget trial can be of.

    Attributes:
        order: (speakers,) so that whom a speaker can be paired with follows it at once.
        end: (speakers,) place in `order` where those end.
    """

    order: Numbers
    end: Numbers

    @classmethod
    def matched(cls, groups: Numbers, ages: NDArray[np.float64], years: float) -> Self:
        """Speakers of the same group, whose ages differ by at most `years`.

        Args:
            groups: (speakers,) number of the group.
            ages: (speakers,) in years.
            years: how far they may be apart; infinity: any.
        """
        order = np.lexsort((ages, groups))
        end = np.empty(len(order), np.int64)
        bounds = np.flatnonzero(np.diff(groups[order], prepend=-1)).tolist()
        for begin, stop in zip(bounds, [*bounds[1:], len(order)], strict=True):
            ages_there = ages[order[begin:stop]]
            end[begin:stop] = begin + np.searchsorted(ages_there, ages_there + years, side="right")
        return cls(order, end)

    @property
    def counts(self) -> Numbers:
        """The number of partners that follow each place of `order`, (speakers,)."""
        return self.end - np.arange(1, len(self.end) + 1)

    def at(self, numbers: Numbers) -> tuple[Numbers, Numbers]:
        """The two speakers of pairs, given by their numbers, from 0."""
        ends = np.cumsum(self.counts)
        one = np.searchsorted(ends, numbers, side="right")
        other = self.end[one] - (ends[one] - numbers)
        return self.order[one], self.order[other]

    def sum_over_partners(self, values: Numbers) -> Numbers:
        """The sums, (speakers,), at each place of `order`, of `values` (of speakers) over its partners."""
        sums = np.concatenate([[0], np.cumsum(values[self.order])])
        found: Numbers = sums[self.end] - sums[1:]
        return found


@dataclass(frozen=True, eq=False)
class Voices:
    """Utterances in a row, and the units that they are enrolled as.

    A pair of a unit and an utterance of the same speaker can be a target trial if the utterance lies before `low` or
    from `high` on.

    Attributes:
        enrol: utterances in a unit.
        begin: (speakers,) place of the first utterance.
        size: (speakers,) utterances.
        units: (speakers,) units.
        low: (units,) see above.
        high: (units,) see above.
    """

    enrol: int
    begin: Numbers
    size: Numbers
    units: Numbers
    low: Numbers
    high: Numbers

    @classmethod
    def arrange(
        cls, speakers: Numbers, sessions: Numbers, enrol: int, generator: np.random.Generator
    ) -> tuple[Numbers, Self]:
        """Put utterances into a row, speaker by speaker and session by session, but for that at random.

        Args:
            speakers: (utterances,) number of the speaker, all from 0 on.
            sessions: (utterances,) number of the session, all from 0 on, of one speaker each; a session of its own for
                each utterance where sessions do not matter.
            enrol: utterances in a unit; every speaker has at least so many.
            generator: decides the order.

        Returns:
            (utterances,) their order in the row, and the row.
        """
        count = len(speakers)
        shuffled = generator.permutation(sessions.max() + 1)[sessions]
        order = np.lexsort((generator.permutation(count), shuffled, speakers))
        size = np.bincount(speakers)
        begin, units = np.cumsum(size) - size, size // enrol
        sessions = sessions[order]
        starts = np.flatnonzero(np.diff(sessions, prepend=-1))
        session_of = np.cumsum(np.diff(sessions, prepend=-1) != 0) - 1
        ends = np.append(starts[1:], count)
        speaker = np.repeat(np.arange(len(size)), units)
        first = begin[speaker] + enrol * (np.arange(len(speaker)) - (np.cumsum(units) - units)[speaker])
        # Of two single utterances only one is the unit: the one that lies before the other.
        low = begin[speaker] if enrol == 1 else starts[session_of[first]]
        return order, cls(enrol, begin, size, units, low, ends[session_of[first + enrol - 1]])

    @property
    def first_unit(self) -> Numbers:
        """The number of the first unit of each speaker, (speakers,)."""
        return np.cumsum(self.units) - self.units

    def members(self, unit: Numbers) -> Numbers:
        """The places of the utterances of units, (units, enrol)."""
        speaker = self.speaker_of_unit(unit)
        first: Numbers = self.begin[speaker] + self.enrol * (unit - self.first_unit[speaker])
        return first[:, None] + np.arange(self.enrol)

    def target_pairs(self) -> Numbers:
        """The number of utterances that a unit can be in a target trial with, (units,)."""
        found: Numbers = np.repeat(self.size, self.units) - (self.high - self.low)
        return found

    def draw_targets(
        self, total: int | None, per_speaker: int | None, generator: np.random.Generator
    ) -> tuple[Numbers, Numbers]:
        """Units and utterances, (trials,) each, spread evenly over speakers.

        Args:
            total: at most so many; None: all.
            per_speaker: at most so many of each; None: all.
            generator: decides which.
        """
        sums = np.concatenate([[0], np.cumsum(self.target_pairs())])
        room = np.diff(sums[np.concatenate([[0], np.cumsum(self.units)])])
        most = room if per_speaker is None else np.minimum(room, per_speaker)
        shares = most if total is None else even_shares(most, total, generator)
        drawn = draw_each(room, shares, generator)
        unit = np.searchsorted(sums[1:], drawn, side="right")
        test = self.begin[self.speaker_of_unit(unit)] + drawn - sums[unit]
        return unit, test + np.where(test >= self.low[unit], (self.high - self.low)[unit], 0)

    def nontarget_pairs(self, one: Numbers, other: Numbers) -> Numbers:
        """The number of nontarget trials that there can be of pairs of speakers, (pairs,)."""
        forth, back = self.units[one] * self.size[other], self.units[other] * self.size[one]
        return forth if self.enrol == 1 else forth + back

    def count_nontargets(self, pairs: SpeakerPairs) -> int:
        """The number of nontarget trials that there can be."""
        forth = self.units[pairs.order] * pairs.sum_over_partners(self.size)
        back = self.size[pairs.order] * pairs.sum_over_partners(self.units)
        return int((forth if self.enrol == 1 else forth + back).sum())

    def draw_nontargets(
        self, pairs: SpeakerPairs, total: int, generator: np.random.Generator
    ) -> tuple[Numbers, Numbers]:
        """Units and utterances, (trials,) each, spread evenly over pairs of speakers.

        Args:
            pairs: of speakers.
            total: at most so many.
            generator: decides which.
        """
        count = pairs.counts.sum()
        if total < count:
            drawn = draw_each(np.array([count]), np.array([total]), generator)
            one, other = pairs.at(drawn)
            room, shares = self.nontarget_pairs(one, other), np.ones(total, np.int64)
        else:
            one, other = pairs.at(np.arange(count))
            room = self.nontarget_pairs(one, other)
            shares = even_shares(room, total, generator)
        drawn = draw_each(room, shares, generator)
        ends = np.cumsum(room)
        pair = np.searchsorted(ends, drawn, side="right")
        one, other, place = one[pair], other[pair], drawn - (ends - room)[pair]
        forth = self.units[one] * self.size[other]
        back = place >= forth  # never where units are single utterances
        unit, test = np.divmod(np.where(back, place - forth, place), self.size[np.where(back, one, other)])
        return self.first_unit[np.where(back, other, one)] + unit, self.begin[np.where(back, one, other)] + test

    def speaker_of_unit(self, unit: Numbers) -> Numbers:
        """Numbers of the speakers of units."""
        return np.searchsorted(np.cumsum(self.units), unit, side="right")

    def speaker_of(self, place: Numbers) -> Numbers:
        """Numbers of the speakers of utterances, given by their places."""
        return np.searchsorted(np.cumsum(self.size), place, side="right")
