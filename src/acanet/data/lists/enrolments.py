"""Enrolment lists: with which utterances each speaker model of a trial list was enrolled.

One model a line, as in Kaldi's `spk2utt`: `model utterance utterance ...`; also gzipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from acanet.data.lists.lines import quoted, read_lines
from acanet.errors import BadTrials

EXPECTED = "'model utterance utterance ...', the same model on one line only"


@dataclass(frozen=True, eq=False)
class Enrolments:
    """An enrolment list; the model of row m stands on line m + 1.

    Attributes:
        path: where it was read.
        models: each with the utterances that it was enrolled with, at least one, in the list's order.
    """

    path: Path
    models: dict[str, tuple[str, ...]]

    @cached_property
    def names(self) -> list[str]:
        """The utterances that are enrolled, each once, in order of appearance."""
        return list(dict.fromkeys(name for members in self.models.values() for name in members))

    def line_of(self, name: int) -> int:
        """The first line, from 1, on which `names[name]` stands."""
        lines = enumerate(self.models.values(), 1)
        return next(line for line, members in lines if self.names[name] in members)

    def line_of_model(self, model: str) -> int:
        """The line, from 1, of a model."""
        return list(self.models).index(model) + 1


def read_enrolments(path: str | Path) -> Enrolments:
    """Read an enrolment list, in its order. Blank lines at the end are passed over.

    Raises:
        BadTrials: with the line (from 1; None for the file as a whole) and what was expected there: a file that
            cannot be read, bytes that are not UTF-8, a model without utterances, a model or a model's utterance that
            comes twice, no models at all.
    """
    path = Path(path)
    models: dict[str, tuple[str, ...]] = {}
    for first, lines in read_lines(path):
        for number, line in enumerate(lines, first):
            fields = line.split()
            if len(fields) < 2:
                raise BadTrials(path, number, f"{quoted(fields)} names no utterance; expected {EXPECTED}")
            model, *members = (field.decode() for field in fields)
            if model in models:
                line_before = list(models).index(model) + 1
                raise BadTrials(path, number, f"model {model!r} is that of line {line_before}; expected {EXPECTED}")
            if len(set(members)) < len(members):
                twice = next(name for name in members if members.count(name) > 1)
                raise BadTrials(path, number, f"model {model!r} has {twice!r} twice; name each utterance once")
            models[model] = tuple(members)
    if not models:
        raise BadTrials(path, None, f"no models; one a line is expected, {EXPECTED}")
    return Enrolments(path, models)
