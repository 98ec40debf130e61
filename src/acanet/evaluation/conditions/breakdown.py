"""An evaluation taken apart: how the EER depends on who speaks, and on how and how long."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from acanet.config.files import temporary_folder
from acanet.data.lists.manifest import Utterance
from acanet.encoder import Encoder
from acanet.errors import BadConfig, nearest
from acanet.evaluation.conditions.changes import MADE, NO_BABBLE, Remeasure, Workshop
from acanet.evaluation.conditions.groups import by_duration, by_field, fields_of, measure_groups
from acanet.evaluation.conditions.lengths import NAME as LENGTH
from acanet.evaluation.conditions.lengths import measure_lengths
from acanet.evaluation.conditions.rows import Bootstrap, Pairs
from acanet.evaluation.conditions.tables import Condition, Conditions, Row
from acanet.evaluation.result import Result

DURATION = "duration"
SEVERAL = {
    "snr": ("noise", "babble"),
    "codec": ("telephone", "opus"),
    "silence": ("zeros", "hiss", "gate", "packets"),
    "damage": ("level", "overdrive", "low-pass", "one-room"),
}
"""Names that stand for several conditions."""

Measured = tuple[Condition, list[Row]]


def measure_conditions(
    encoder: Encoder,
    result: Result,
    names: Sequence[str],
    *,
    babble: Path | None = None,
    seed: int = 0,
    replicates: int = 1000,
) -> Conditions:
    """The EER of an evaluation by condition, and the errors of its decisions where there is a calibration.

    Args:
        encoder: the model.
        result: what it did on the list.
        names: a field of the manifest (`by_field`), which goes before what has the same name here; `duration`
            (`by_duration`); what is made by embedding the utterances again (`MADE`); `length` (`measure_lengths`); or
            what stands for several (`SEVERAL`).
        babble: manifest of the speakers that babble is made of (`babble_voices`).
        seed: of the bootstrap, and of all that is drawn.
        replicates: of the bootstrap.

    Raises:
        BadConfig: for a name that is none of these, babble without a manifest, or a field of too many values; before
            anything is embedded.
        BadManifest: for a manifest that babble cannot be made of, likewise.
        BadAudio: for a recording that cannot be read.
        MissingExtra: for rooms without pyroomacoustics.
    """
    trials, sides, embedded, scorer = result.trials, result.sides, result.embedded, result.scorer
    pairs = Pairs(trials.target, sides.speakers[trials.enrol], sides.speakers[trials.test])
    bootstrap = Bootstrap(replicates, seed)
    clean = bootstrap.eer(result.scores, pairs)
    fields = fields_of(sides.utterances)
    wanted = list(dict.fromkeys(_conditions(names, fields)))
    found: dict[str, Measured] = {}
    for name in wanted:
        if name in fields or name == DURATION:
            inside = by_field(name, trials, sides) if name in fields else by_duration(trials, sides, embedded.seconds)
            found[name] = measure_groups(name, inside, pairs, result.scores, bootstrap)
    made = [name for name in wanted if name in MADE and name not in found]
    calibration = None if result.llrs is None else encoder.calibration
    again = Remeasure(encoder, embedded, scorer, pairs, clean, bootstrap, calibration, seed)
    found |= _changed(made, again, babble)
    if LENGTH in wanted and LENGTH not in found:
        found[LENGTH] = measure_lengths(encoder, sides, embedded, scoring=scorer.scoring, bootstrap=bootstrap)
    return Conditions(
        clean=clean.measure(),
        replicates=replicates,
        seed=seed,
        conditions=tuple(found[name][0] for name in wanted),
        rows=tuple(row for name in wanted for row in found[name][1]),
    )


def check_conditions(names: Sequence[str], utterances: Sequence[Utterance], babble: Path | None) -> None:
    """See that conditions can be measured, before the list is embedded; arguments and errors as `measure_conditions`.

    Args:
        utterances: of the manifest; none where there is no manifest.
    """
    fields = fields_of(utterances)
    if "babble" in set(_conditions(names, fields)) - set(fields) and babble is None:
        raise BadConfig("conditions", [NO_BABBLE])


def _changed(names: Sequence[str], again: Remeasure, babble: Path | None) -> dict[str, Measured]:
    """The conditions that are made; all degradations are ready before the first utterance is embedded."""
    with temporary_folder() as folder:
        shop = Workshop(again.scorer.sides.utterances, again.encoder.rate, again.seed, folder, babble)
        made = {name: MADE[name].degradations(shop) for name in names}
        return {
            name: (
                Condition(name=name, kind="change", about=MADE[name].about),
                [row for degradation in made[name] for row in again(degradation)],
            )
            for name in names
        }


def _conditions(names: Sequence[str], fields: Sequence[str]) -> Iterator[str]:
    """The conditions that names stand for."""
    ours = (DURATION, *MADE, LENGTH)
    for name in names:
        if name in fields or name in ours:
            yield name
        elif name in SEVERAL:
            yield from SEVERAL[name]
        else:
            near = nearest(name, (*fields, *ours, *SEVERAL))
            hint = f", did you mean {near!r}?" if near else ""
            there = f"the manifest has {', '.join(fields)}" if fields else "there are no fields of a manifest"
            reason = f"unknown condition {name!r}{hint}; {there}, besides {', '.join((*ours, *SEVERAL))}"
            raise BadConfig("conditions", [reason])
