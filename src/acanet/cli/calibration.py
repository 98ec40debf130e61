"""The command that gives scores a meaning: calibrate.

What it finds goes into the bundle's `calibration.json`, and in words into its model card.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acanet.cli.common import AudioRootOption, ManifestOption, out
from acanet.errors import AcanetError

if TYPE_CHECKING:
    from acanet.runtime.bundle import Bundle
    from acanet.scoring.calibrate import Calibration

TITLE = "## Calibration"
SECTION = re.compile(rf"^{TITLE}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def calibrate(
    bundle: Annotated[
        str, typer.Argument(help="The folder of a bundle or of a training run; `default` or `small` with --output.")
    ],
    trials: Annotated[Path, typer.Argument(help="A trial list of speakers that are in no training.")],
    audio_root: AudioRootOption = None,
    manifest: ManifestOption = None,
    far: Annotated[
        float | None,
        typer.Option(help="Decide so that at most this share of nontarget trials is accepted; 0.01 unless given."),
    ] = None,
    prior: Annotated[float | None, typer.Option(help="Decide by Bayes' rule: how often it is one voice.")] = None,
    cost_miss: Annotated[float, typer.Option(help="Cost of refusing the right person, with --prior.")] = 1.0,
    cost_fa: Annotated[float, typer.Option(help="Cost of accepting another person, with --prior.")] = 1.0,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder for a copy of the bundle that has it.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of crops, folds and bootstrap.")] = 0,
) -> None:
    """Turn scores into log-likelihood ratios and decisions: fit them to a trial list, keep them in the bundle."""
    import shutil

    from acanet.config.files import written_folder
    from acanet.encoder import Encoder
    from acanet.evaluation.calibrate import calibrate as calibrate_model
    from acanet.evaluation.figures.words import shown
    from acanet.runtime.bundle import SHIPPED, Bundle
    from acanet.scoring.calibrate import FalseAccepts
    from acanet.scoring.operating_point import OperatingPoint

    if audio_root is None and manifest is None:
        raise typer.BadParameter("give --audio-root or --manifest, so that the names in the list can be found")
    if prior is not None and far is not None:
        raise typer.BadParameter("--far and --prior are two ways to decide; give one of them")
    if prior is None and (cost_miss, cost_fa) != (1.0, 1.0):
        raise typer.BadParameter("costs say something with --prior only; give it")
    if bundle in SHIPPED and output is None:
        raise typer.BadParameter("a model that ships stays as it is; name a folder for a copy with --output")
    if output is not None and output.exists():
        raise typer.BadParameter(f"{output} is there already; name a new folder", param_hint="--output")
    if output is not None and not output.absolute().parent.is_dir():
        raise AcanetError(f"{output}: there is no folder {output.parent}; make it first")
    goal: FalseAccepts | OperatingPoint
    if prior is None:
        goal = FalseAccepts.parse({"far": 0.01 if far is None else far}, "--far")
    else:
        goal = OperatingPoint.parse({"prior": prior, "c_miss": cost_miss, "c_fa": cost_fa}, "--prior and costs")

    encoder = Encoder.load(bundle)
    made = calibrate_model(encoder, trials, manifest=manifest, audio_root=audio_root, goal=goal, seed=seed)
    kept = encoder.bundle.folder
    if output is None:
        _keep(encoder.bundle, made)
    else:
        with written_folder(output) as copy:
            shutil.copytree(kept, copy, dirs_exist_ok=True)
            _keep(Bundle(copy, encoder.bundle.config), made)
        kept = output

    cllr, least, accepts, rejects = (
        shown(name, made.figures[name]) for name in ("cllr", "min_cllr", "false_accepts", "false_rejects")
    )
    threshold, cosine = (shown("threshold", measure) for measure in (made.threshold, made.whole_threshold))
    out.print(f"{encoder.name} ({made.fingerprint[:12]}), {made.data.speakers} speakers of {made.data.trial_list}")
    out.print(f"  Cllr         {cllr}, minCllr {least}: of {made.data.pairs:,} pairs of crops,")
    out.print("               each judged by weights that were fitted without its speakers")
    out.print(f"  threshold    log-likelihood ratio {threshold}")
    out.print(f"               cosine {cosine} at {made.whole_speech:.1f} s of speech")
    out.print(f"  false accepts {accepts}, false rejects {rejects}: of the crops, at all lengths")
    again = f", {made.data.redrawn} of them made again" if made.data.redrawn else ""
    out.print(f"  [...] is 95 % of {made.data.replicates} draws of the speakers{again}, seed {seed}")
    out.print(f"calibration in {kept / 'calibration.json'}")


def card_section(made: Calibration) -> str:
    """What a model card says of a calibration, Markdown: what it was fitted to, how it decides, how good it is."""
    from acanet.evaluation.figures.words import shown

    data = made.data
    threshold, cosine = (shown("threshold", measure) for measure in (made.threshold, made.whole_threshold))
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


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_on_hyphens=False)


def _aim(made: Calibration) -> str:
    """What the threshold was chosen for, in words."""
    from acanet.scoring.calibrate import FalseAccepts

    if isinstance(made.goal, FalseAccepts):
        return f"there, at most {100 * made.goal.far:g} % of the nontarget trials of the list are accepted"
    costs = f"a miss costs {made.goal.c_miss:g} and a false accept {made.goal.c_fa:g}"
    return f"Bayes' rule where {100 * made.goal.prior:g} % of the trials are of one voice, {costs}"


def _keep(bundle: Bundle, made: Calibration) -> None:
    """Write a calibration into a bundle, and into its card."""
    bundle.with_calibration(made)
    _tell(bundle.folder / "README.md", made)


def _tell(card: Path, made: Calibration) -> None:
    """Put the calibration into a model card, in place of an earlier one's section, or at its end."""
    from acanet.config.files import write_text

    text = card.read_text(encoding="utf-8") if card.exists() else ""
    parts = SECTION.split(text, maxsplit=1)
    before, after = parts if len(parts) == 2 else (text, "")
    told = "\n\n".join(part for part in (before.rstrip(), card_section(made).rstrip(), after.rstrip()) if part)
    write_text(card, told + "\n")
