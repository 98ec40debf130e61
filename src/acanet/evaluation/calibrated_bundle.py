"""Calibration in one call: fitted to a trial list, and kept in the bundle and in its model card, or in a copy."""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import dataclass
from pathlib import Path

from acanet.config.files import printable, write_text, written_folder
from acanet.config.scratch import sweep
from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.evaluation.calibration import fit_calibration
from acanet.evaluation.figures.words import shown
from acanet.runtime.bundle import CALIBRATION, SHIPPED, Bundle
from acanet.scoring.calibrate import Calibration, FalseAccepts
from acanet.scoring.operating_point import OperatingPoint

TITLE = "## Calibration"
SECTION = re.compile(rf"^{TITLE}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
WIDTH = 120  # of a line in a model card


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A bundle with a calibration.

    Attributes:
        bundle: the bundle that it was kept in.
        calibration: what it holds.
    """

    bundle: Bundle
    calibration: Calibration

    def summary(self) -> list[str]:
        """Lines that tell how the calibration decides, and how good it is."""
        made, data = self.calibration, self.calibration.data
        cllr, least, accepts, rejects = (
            shown(name, made.figures[name]) for name in ("cllr", "min_cllr", "false_accepts", "false_rejects")
        )
        threshold, cosine = _thresholds(made)
        again = f", {data.redrawn} of them made again" if data.redrawn else ""
        return [
            f"{self.bundle.name} ({made.fingerprint[:12]}), {data.speakers} speakers of {data.trial_list}",
            f"  Cllr         {cllr}, minCllr {least}: of {data.pairs:,} pairs of crops,",
            "               each judged by weights that were fitted without its speakers",
            f"  threshold    log-likelihood ratio {threshold}",
            f"               cosine {cosine} at {made.whole_speech:.1f} s of speech",
            f"  false accepts {accepts}, false rejects {rejects}: of the crops, at all lengths",
            f"  [...] is 95 % of {data.replicates} draws of the speakers{again}, seed {data.seed}",
            f"calibration in {self.bundle.folder / CALIBRATION}",
        ]


def calibrate(
    model: str | Path,
    trials: str | Path,
    *,
    manifest: Path | None = None,
    audio_root: Path | None = None,
    goal: FalseAccepts | OperatingPoint = FalseAccepts(far=0.01),
    output: Path | None = None,
    seed: int = 0,
    replicates: int = 200,
) -> Calibrated:
    """Turn the scores of a model into log-likelihood ratios and decisions, and keep what does in its bundle.

    Args:
        model: what `Encoder.load` takes; one of the models that ship stays as it is, and needs an `output`.
        trials, manifest, audio_root, goal, seed, replicates: see `fit_calibration`.
        output: a new folder for a copy of the bundle; None: the calibration goes into the bundle itself.

    Raises:
        AcanetError: for a model that ships without `output`, or an output that is there or has no folder; before
            anything is embedded.
        BadTrials, BadManifest, BadAudio, TooShort, SeenInTraining, MissingExtra: as `fit_calibration`.
    """
    _check_output(model, output)
    encoder = Encoder.load(model)
    made = fit_calibration(
        encoder,
        trials,
        manifest=manifest,
        audio_root=audio_root,
        goal=goal,
        seed=seed,
        replicates=replicates,
    )
    if output is None:
        return Calibrated(keep(encoder.bundle, made), made)
    with written_folder(output) as fresh:
        shutil.copytree(encoder.bundle.folder, fresh, dirs_exist_ok=True)
        keep(Bundle(fresh, encoder.bundle.config), made)
    return Calibrated(Bundle(output, encoder.bundle.config), made)


def keep(bundle: Bundle, made: Calibration) -> Bundle:
    """Write a calibration into a bundle's folder, and its section into the model card, in place of an earlier one."""
    kept = bundle.with_calibration(made)
    card = bundle.folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.exists() else ""
    parts = SECTION.split(text, maxsplit=1)
    before, after = parts if len(parts) == 2 else (text, "")
    told = "\n\n".join(part for part in (before.rstrip(), card_section(made).rstrip(), after.rstrip()) if part)
    write_text(card, printable(told) + "\n")
    return kept


def card_section(made: Calibration) -> str:
    """The section of a model card about a calibration, Markdown: what it was fitted to, how it decides, how well."""
    data = made.data
    threshold, cosine = _thresholds(made)
    trials = f"{data.targets + data.nontargets:,} trials"
    redrawn = f" Of the draws, {data.redrawn} were made again: there are few speakers." if data.redrawn else ""
    what = (
        "`calibration.json` turns a cosine and the seconds of speech on both sides into a log-likelihood ratio "
        f"(natural logarithm). It was fitted to `{data.trial_list}` on {data.date[:10]}: {data.speakers:,} speakers, "
        f"{data.utterances:,} utterances, {trials}, heard as crops from {data.shortest_crop:g} s to the whole. It "
        f'decides "same speaker" from a ratio of {threshold} on, which is a cosine of '
        f"{cosine} at {made.whole_speech:.1f} s of speech on both sides: {_aim(made)}."
    )
    names = ("cllr", "min_cllr", "act_dcf(0.01)", "act_dcf(0.05)")
    figures = " | ".join(shown(name, made.figures[name]) for name in names)
    table = (
        "| list | Cllr | minCllr | actDCF(0.01) | actDCF(0.05) |\n|---|---:|---:|---:|---:|\n"
        f"| `{data.trial_list}`, crops, cross-validated | {figures} |"
    )
    limits = (
        f"In brackets 95 % intervals by bootstrap over speakers ({data.replicates:,} draws, seed {data.seed})."
        f'{redrawn} "Two voices" stands for two people drawn from these speakers; among others, or on other devices, '
        "ratios and error rates are others."
    )
    return f"{TITLE}\n\n{_wrapped(what)}\n\n{table}\n\n{_wrapped(limits)}\n"


def _check_output(model: str | Path, output: Path | None) -> None:
    if output is None:
        if str(model) in SHIPPED:
            raise AcanetError("a model that ships stays as it is; name a folder for a copy with --output")
        return
    sweep(output.absolute().parent)
    if output.exists():
        raise AcanetError(f"{output} is there already; name a new folder")
    if not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")


def _thresholds(made: Calibration) -> tuple[str, str]:
    """The threshold and its interval as a log-likelihood ratio, and as a cosine of whole utterances."""
    return shown("threshold", made.threshold), shown("threshold", made.whole_threshold)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_on_hyphens=False)


def _aim(made: Calibration) -> str:
    """What the threshold was chosen for, in words."""
    if isinstance(made.goal, FalseAccepts):
        return f"there, at most {100 * made.goal.far:g} % of the nontarget trials of the list are accepted"
    costs = f"a miss costs {made.goal.c_miss:g} and a false accept {made.goal.c_fa:g}"
    return f"Bayes' rule where {100 * made.goal.prior:g} % of the trials are of one voice, {costs}"
