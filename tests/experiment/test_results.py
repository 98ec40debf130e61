"""The published results: what the report says is what its files say, and each run card is of a recipe that is there."""

from __future__ import annotations

import json
import re

import pytest

from acanet.evaluation.conditions.tables import Conditions
from acanet.evaluation.result import ResultsCard
from acanet.experiment.run_card import read_run_cards
from acanet.runtime.bundle import SHIPPED, Bundle
from acanet.training.portable import portable
from acanet.training.read_recipe import read_experiment
from support.paths import ROOT

RESULTS = ROOT / "docs" / "results"
RUN_CARDS = read_run_cards([RESULTS / "cards"])
LISTS = ("test", "test.hard")
SILENCE = ("zeros", "hiss", "gate", "packets")
MADE = {"telephone", "crop", *SILENCE, "level", "overdrive", "low-pass", "one-room"}
ROWS = {
    "1 s of zeros before": ("zeros", "1 s before"),
    "30 s of noise at -50 dBFS before": ("hiss", "30 s at -50 dBFS before"),
    "a noise gate at -20 dB": ("gate", "-20 dB"),
    "10 % of packets of 50 ms lost": ("packets", "10% of 50 ms"),
    "at -60 dBFS in 16 bit": ("level", "-60 dBFS, 16 bit"),
    "telephone band": ("telephone", "8 kHz"),
    "2 s of it": ("crop", "2 s"),
    "1 s of it": ("crop", "1 s"),
}


def card_of(name):
    return ResultsCard.parse(json.loads((RESULTS / name / "card.json").read_text("utf-8")), name)


def conditions_of(name):
    return Conditions.parse(json.loads((RESULTS / name / "conditions.json").read_text("utf-8")), name)


def in_per_cent(measure):
    return f"{100 * measure.value:.2f} [{100 * measure.low:.2f}, {100 * measure.high:.2f}]"


def table():
    """The rows of the page's tables by their first cell."""
    lines = (RESULTS / "README.md").read_text("utf-8").splitlines()
    cells = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| "))
    return {row[0]: row[1:] for row in cells}


@pytest.mark.parametrize("name", LISTS)
def test_it_is_of_the_model_that_ships_on_the_published_list(name):
    card = card_of(name)
    assert card.fingerprint == Bundle.load().fingerprint
    assert (card.trial_list, card.counts.speakers, card.replicates, card.seen) == (f"{name}.trials", 44, 1000, False)
    published = (ROOT / "docs" / "numbers.md").read_text("utf-8")
    assert card.trial_list_sha256.startswith(re.search(rf"`{name}\.trials` (\w{{16}})", published)[1])


@pytest.mark.parametrize("name", LISTS)
def test_its_table_has_the_figures_of_the_card(name):
    figures, cells = card_of(name).figures, table()[name]
    cllr = figures["cllr"]
    assert cells[1:] == [
        in_per_cent(figures["eer"]),
        f"{cllr.value:.3f} [{cllr.low:.3f}, {cllr.high:.3f}]",
        in_per_cent(figures["false_accepts"]),
        in_per_cent(figures["false_rejects"]),
    ]


@pytest.mark.parametrize(("which", "before"), [("test", ""), ("dev", "on dev, ")])
def test_its_table_has_the_conditions(which, before):
    conditions, rows = conditions_of(which), table()
    chosen = {before + told: row for told, row in ROWS.items() if which == "test" or row[0] in SILENCE}
    for told, (name, group) in chosen.items():
        found = {row.side: row for row in conditions.rows_of(name) if row.group == group}
        sides = found["test"], found["both"]
        eers, accepts = ([in_per_cent(getattr(row, rate)) for row in sides] for rate in ("eer", "false_accepts"))
        assert rows[told] == eers + accepts


@pytest.mark.parametrize("which", ["test", "dev"])
def test_silence_opens_no_door(which):
    """No silence doubles the false accepts or raises them beyond 2 %, or raises the EER by more than 30 %."""
    conditions, card = conditions_of(which), card_of(which)
    assert (card.fingerprint, card.trial_list) == (Bundle.load().fingerprint, f"{which}.trials")
    usual = card.figures["false_accepts"].value
    rows = [row for name in SILENCE for row in conditions.rows_of(name)]
    assert len(rows) > 50
    for row in rows:
        assert row.false_accepts.value <= min(2 * usual, 0.02)
        assert row.refused <= 0.01
        assert row.ratio.value <= 1.3 or row.group == "30% of 50 ms"


def test_every_condition_has_intervals():
    conditions = conditions_of("test")
    assert {condition.name for condition in conditions.conditions} == MADE | {"gender", "age", "duration"}
    for row in conditions.rows:
        assert (row.eer is None) == ("a figure needs" in row.note or row.note == "no nontarget trials")
        assert row.eer is None or row.eer.low < row.eer.high
        assert (row.ratio is None) == (row.name not in MADE)


@pytest.mark.parametrize("name", LISTS)
def test_the_command_stands_beside_it_and_no_audio_inside(name):
    page = (RESULTS / name / "report.html").read_text("utf-8")
    (command,) = re.findall(rf"acanet evaluate default {re.escape(name)}\.trials [^<]*", page)
    said = (RESULTS / "README.md").read_text("utf-8").replace(" \\\n  ", " ")
    assert command in said
    assert "<audio" not in page


def test_the_card_of_the_model_agrees():
    said = (Bundle.load().folder / "README.md").read_text("utf-8")
    for name in LISTS:
        figures = card_of(name).figures
        assert in_per_cent(figures["eer"]) in said
        costs = [figures[f"act_dcf({prior})"] for prior in ("0.01", "0.05")]
        for cost in (*costs, figures["cllr"]):
            assert f"{cost.value:.3f} [{cost.low:.3f}, {cost.high:.3f}]" in said


@pytest.mark.parametrize("card", RUN_CARDS, ids=lambda card: f"{card.experiment}-{card.system}")
def test_a_run_card_is_of_a_recipe_of_the_repository(card):
    """So its command makes it again."""
    recipe = f"recipes/{card.experiment}.yaml"
    assert portable(read_experiment(ROOT / recipe).recipes[card.system]) == card.recipe
    assert card.command == f"acanet experiment {recipe} --only {card.system} --out runs/{card.experiment}"
    assert card.code is not None
    assert not card.code.changed


def test_the_models_that_ship_have_run_cards():
    cards = {card.fingerprint: card for card in RUN_CARDS if card.experiment == "silence"}
    for name in SHIPPED:
        assert cards[Bundle.load(name).fingerprint].lists.keys() == {"test", "hard"}
