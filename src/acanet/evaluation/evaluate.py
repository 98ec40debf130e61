"""Evaluation in one call: models on a trial list, by condition, beside what is expected, with a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from acanet.data.lists.manifest import read_manifest
from acanet.encoder import Encoder
from acanet.errors import AcanetError, require
from acanet.evaluation.backend_choices import EnrolBy
from acanet.evaluation.backends import COSINE, Backend
from acanet.evaluation.conditions.breakdown import check_conditions, measure_conditions
from acanet.evaluation.conditions.tables import Conditions
from acanet.evaluation.explain import Explanation, explain_list
from acanet.evaluation.figures.expect import Expectation, parse_expectation
from acanet.evaluation.figures.intervals import POINTS, figure_names
from acanet.evaluation.one_model import calibration_for, evaluate_model
from acanet.evaluation.paired_comparison import PairedComparison, compare_paired
from acanet.evaluation.report.report_folder import check_report_folder, summary, write_report
from acanet.evaluation.result import Result, ResultsCard
from acanet.scoring.operating_point import OperatingPoint

Tell = Callable[[str], object]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model is worth on a trial list.

    Attributes:
        encoder: the model.
        result: its scores and figures.
        comparisons: other models on the same list, and by how much they differ.
        conditions: its EER by condition; None where nobody asked.
        expectations: bounds that figures were expected to keep to.
    """

    encoder: Encoder
    result: Result
    comparisons: tuple[PairedComparison, ...]
    conditions: Conditions | None
    expectations: tuple[Expectation, ...]

    @property
    def card(self) -> ResultsCard:
        """The figures of the model, and what is needed to get them again."""
        return self.result.card

    @property
    def as_expected(self) -> bool:
        """Whether every expectation holds."""
        return all(expectation.holds(self.card.figures) for expectation in self.expectations)

    @cached_property
    def explanations(self) -> list[Explanation]:
        """What the model attends to in some utterances; none where it cannot tell."""
        return explain_list(self.encoder.bundle.folder, self.result.sides.utterances)

    def summary(self) -> list[str]:
        """Lines that tell all that was found."""
        return [*_figures_told(self.result, self.comparisons), *_told(self.conditions), *self.expectations_told()]

    def expectations_told(self) -> list[str]:
        """A line for each expectation: what was expected, and what came."""
        return [expectation.told(self.card.figures) for expectation in self.expectations]

    def write_report(self, folder: Path, *, command: Sequence[str] = (), players: bool = False) -> None:
        """Write `report.html` and what it is made of; arguments and errors as `write_report` of the report."""
        write_report(
            folder,
            self.result,
            others=self.comparisons,
            conditions=self.conditions,
            explanations=self.explanations,
            command=command,
            players=players,
        )


def evaluate(
    model: Encoder | str | Path,
    trials: str | Path,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    enrolments: Path | None = None,
    enrol_by: EnrolBy = "embeddings",
    backend: Backend = COSINE,
    points: Sequence[OperatingPoint] = POINTS,
    against: Sequence[Encoder | str | Path] = (),
    conditions: Sequence[str] = (),
    babble: Path | None = None,
    expectations: Sequence[str] = (),
    report: Path | None = None,
    seen: bool = False,
    seed: int = 0,
    replicates: int = 1000,
    tell: Tell | None = None,
) -> Evaluation:
    """Score a trial list with a model, and say how good it is.

    What can be checked without embedding anything is checked first.

    Args:
        model: an encoder, or what `Encoder.load` takes.
        trials, manifest, audio_root, enrolments, enrol_by, backend, points, seen: see `evaluate_model`.
        against: other models to evaluate on the same list, for the paired differences.
        conditions: names of conditions to take the EER apart by (see `measure_conditions`).
        babble: manifest of the people that the condition babble is made of.
        expectations: bounds such as `eer<=0.06` (see `parse_expectation`).
        report: the folder that `Evaluation.write_report` will be given, to know now whether it can.
        seed: of the bootstrap, and of what is drawn for the conditions.
        replicates: draws of the bootstrap over speakers.
        tell: called with the lines of `Evaluation.summary` but those of the expectations, as soon as each is known.

    Raises:
        AcanetError: for an expectation or a model that cannot be, or a report that cannot be written.
        BadConfig: for an unknown condition.
        MissingExtra: without SciPy; with a report also without matplotlib or Jinja.
        BadTrials, BadManifest, BadAudio, TooShort, SeenInTraining, ModelMismatch: as `evaluate_model` and
            `measure_conditions`.
    """
    require("scipy")
    if manifest is None and audio_root is None:
        raise AcanetError("a manifest or an audio root is needed, so that the names in the list can be found")
    if report is not None:
        check_report_folder(report)
    check_conditions(conditions, read_manifest(manifest) if conditions and manifest else (), babble)
    expected = tuple(map(parse_expectation, expectations))
    encoder, *others = map(_loaded, (model, *against))
    figures = figure_names(points, calibrated=calibration_for(encoder, backend, enrolments) is not None)
    for expectation in expected:
        expectation.check(figures)
    result, *rest = (
        evaluate_model(
            each,
            trials,
            manifest=manifest,
            audio_root=audio_root,
            enrolments=enrolments,
            enrol_by=enrol_by,
            backend=backend,
            points=points,
            seen=seen,
            seed=seed,
            replicates=replicates,
        )
        for each in (encoder, *others)
    )
    comparisons = tuple(compare_paired(result, other, points=points) for other in rest)
    _tell_all(tell, _figures_told(result, comparisons))
    found = None
    if conditions:
        found = measure_conditions(encoder, result, conditions, babble=babble, seed=seed, replicates=replicates)
        _tell_all(tell, _told(found))
    return Evaluation(encoder, result, comparisons, found, expected)


def _loaded(model: Encoder | str | Path) -> Encoder:
    return model if isinstance(model, Encoder) else Encoder.load(model)


def _figures_told(result: Result, comparisons: Sequence[PairedComparison]) -> Iterator[str]:
    yield from summary(result.card)
    for comparison in comparisons:
        yield from comparison.summary()


def _told(conditions: Conditions | None) -> list[str]:
    return [] if conditions is None else conditions.table().splitlines()


def _tell_all(tell: Tell | None, lines: Iterable[str]) -> None:
    if tell is not None:
        for line in lines:
            tell(line)
