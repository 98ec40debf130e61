"""The whole road on voices that the demo makes itself: prepare, train, evaluate, verify."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from acanet.config.files import write_text
from acanet.config.scratch import sweep
from acanet.data.draw.list_files import write_trials
from acanet.data.draw.plan import Plan
from acanet.data.draw.trial_list import draw_trials
from acanet.data.lists.manifest import read_manifest
from acanet.data.prepare.manifests import prepare
from acanet.data.synthetic import write_corpus
from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.evaluation.one_model import evaluate_model
from acanet.evaluation.report.report_folder import summary, write_report
from acanet.training.recipe import Recipe
from acanet.training.run import train

_KNOWN, _UNKNOWN, _UTTERANCES = 16, 8, 8  # voices to train on, voices to test on, recordings of each
_STEPS = 400
_UNFINISHED = "unfinished"
"""A file in the folder of a demo, until it is done."""


def run_demo(folder: Path, console: Console) -> bool:
    """Make voices, train a small ACA-Net on some, evaluate it on others, verify two pairs.

    Args:
        folder: a new folder for everything that is made, or that of a demo that was stopped, which goes on.
        console: where to tell.

    Returns:
        Whether it is done; false when the training was interrupted.

    Raises:
        AcanetError: when the folder holds something else, or a demo that is done.
    """
    _claim(folder)
    console.rule(f"1. {_KNOWN} synthetic voices to train on, {_UNKNOWN} others to test on")
    known, unknown = folder / "voices", folder / "other-voices"
    prepared, test_manifest = folder / "prepared", folder / "prepared-others" / "train.jsonl"
    if not prepared.exists():
        write_corpus(known, _KNOWN, _UTTERANCES, seed=1)
        write_corpus(unknown, _UNKNOWN, _UTTERANCES, first=_KNOWN, seed=1)
    console.rule("2. prepare: check the recordings, keep some speakers for choosing the model")
    if not prepared.exists():
        console.print(prepare("folder", known, prepared, dev=0.25, workers=2).summary())
    console.rule(f"3. train a small ACA-Net, {_STEPS} steps")
    outcome = train(_recipe(folder), folder / "run", resume=(folder / "run").exists(), console=console)
    if not outcome.finished:
        return False
    console.rule("4. evaluate on voices that it has not heard")
    encoder = Encoder.load(outcome.folder)
    dev_manifest = prepared / "dev.jsonl"
    dev = evaluate_model(encoder, _all_pairs(dev_manifest, folder / "dev.trials"), manifest=dev_manifest)
    if not test_manifest.exists():
        prepare("folder", unknown, test_manifest.parent, dev=0.0)
    result = evaluate_model(encoder, _all_pairs(test_manifest, folder / "test.trials"), manifest=test_manifest)
    write_report(folder / "report", result)
    for line in summary(result.card):
        console.print(line, markup=False)
    threshold = dev.card.eer_threshold
    console.rule(f"5. verify two pairs, same voice from a score of {threshold:.3f} on (the EER threshold on dev)")
    first, *_, another = sorted(path for path in unknown.iterdir() if path.is_dir())
    enrolment, same_voice = sorted(first.iterdir())[:2]
    for test in (same_voice, sorted(another.iterdir())[0]):
        answer = encoder.verify(enrolment, test, threshold=threshold)
        verdict = "same speaker" if answer.same else "not the same speaker"
        console.print(f"{enrolment} and {test}: score {answer.score:.3f}, {verdict}")
    console.rule("what next")
    console.print(
        f"The report is in {folder / 'report'}: report.html to read, card.json and scores.txt.gz for programs.\n"
        "With the model that ships, trained on real speech, and two recordings of your own:\n"
        "    acanet verify enrolment.wav test.wav\n"
        "It prints score, log-likelihood ratio and decision (docs/numbers.md says what they mean).\n"
        "To train on a folder of your own, with a folder for each speaker in it:\n"
        "    acanet prepare folder RECORDINGS -o prepared\n"
        "    acanet train recipes/own-speech.yaml --out run"
        " --set 'data.train=[prepared/train.jsonl]' --set dev.manifest=prepared/dev.jsonl",
        markup=False,
        soft_wrap=True,
    )
    (folder / _UNFINISHED).unlink()
    return True


def _claim(folder: Path) -> None:
    """Take a folder that is new or empty, or that of a demo that was stopped."""
    if folder.exists() and not (folder / _UNFINISHED).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise AcanetError(f"{folder} exists; remove it, or choose another folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder)
    write_text(folder / _UNFINISHED, "The demo that made this folder was stopped; the same command goes on with it.\n")


def _recipe(folder: Path) -> Recipe:
    prepared = (folder / "prepared").absolute()
    small = {
        "frames": {"channels": 64, "hidden": 128},
        "aggregator": {"latents": 16, "mlp": 64, "heads": 4},
        "head": {"dim": 64},
    }
    return Recipe.parse(
        {
            "model": {"name": "acanet-local", "change": small},
            "data": {
                "train": [prepared / "train.jsonl"],
                "cache": (folder / "cache").absolute(),
                "batch": 24,
                "crop_seconds": [1.5, 2.0],
            },
            "dev": {"manifest": prepared / "dev.jsonl"},
            "augment": {"speed": 0.6, "noise": 0.3, "level": 0.3, "spec": 0.5},
            "loss": {"margin_rise": [0.3, 0.7]},
            "optimizer": {"rate": 2e-3},
            "steps": _STEPS,
            "dev_every": 100,
            "save_every": 200,
            "licence": "Apache-2.0",
        },
        "the demo's recipe",
    )


def _all_pairs(manifest: Path, path: Path) -> Path:
    """A trial list of every pair of a manifest's utterances."""
    if not path.exists():
        drawn = draw_trials(read_manifest(manifest), Plan(targets=None, ratio=None), seed=0, source=manifest)
        write_trials(path, drawn)
    return path
