"""The results page: what it says is what the cards say, and the published one is what the committed cards give."""

from __future__ import annotations

import re
import shlex
from xml.etree import ElementTree

import pytest

from acanet.evaluation.figures.intervals import Paired
from acanet.evaluation.report.plots.tradeoff import Point, front
from acanet.evaluation.result import Counts
from acanet.experiment.origin import Code, Machine
from acanet.experiment.run_card import Budget, Data, Listed, RunCard, Size
from acanet.experiment.speed import Speed, Timing
from acanet.scoring.measure import Measure
from acanet.training.progress import DevResult
from acanet.training.recipe import Recipe
from support.commands import acanet
from support.paths import ROOT
from support.processes import loaded_by

PUBLISHED = ROOT / "docs" / "results.md"
COUNTS = Counts(trials=100, targets=10, nontargets=90, utterances=20, speakers=5)


def measure(value, reach):
    return Measure(value=value, low=value - reach, high=value + reach)


def figures(eer):
    return {"eer": measure(eer, 0.01), "min_dcf(0.05)": measure(0.4, 0.1), "min_dcf(0.01)": measure(0.5, 0.1)}


def against(eer, ratio=0.8):
    paired = Paired(difference=measure(eer, 0.005), ratio=ratio and measure(ratio, 0.125))
    return dict.fromkeys(("eer", "min_dcf(0.05)", "min_dcf(0.01)"), paired)


def card(system, place, eer, others, seeds=None, **changed):
    """Of the experiment `poolings`, on one list."""
    recipe = {"model": {"name": system}, "data": {"train": ["train.jsonl"]}, "steps": 800, "seed": place}
    listed = Listed(
        trial_list="own.trials",
        sha256="ab" * 32,
        counts=COUNTS,
        figures=figures(eer),
        replicates=1000,
        seed=0,
        against=others,
        seeds_against=seeds or {},
    )
    facts = {
        "experiment": "poolings",
        "title": "Which | pooling?",
        "about": "ACA against *statistics*.",
        "system": system,
        "place": place,
        "command": f"acanet experiment recipes/poolings.yaml --only {system} --out runs/poolings",
        "recipe": Recipe.model_validate(recipe),
        "fingerprint": "f" * 64,
        "size": Size(parameters=1_234_567 + place, macs_3s=250_000_000, macs_60s=5_000_000_000),
        "budget": Budget(steps=800, crops=25_600, audio_hours=17.75, hours=1.25),
        "machine": Machine(processor="A CPU", cores=2, threads=1, accelerator=None),
        "versions": {"acanet": "0.1.0"},
        "code": Code(commit="0123456789abcdef", changed=True),
        "data": Data(manifests=("train.jsonl",), speakers=4, utterances=1200, sha256="cd" * 32),
        "dev": (DevResult(step=400, eer=0.1), DevResult(step=800, eer=0.08)),
        "chosen": 800,
        "lists": {"own": listed},
    }
    return RunCard(**facts | changed)


@pytest.fixture
def cards(tmp_path):
    """A folder with the cards of two systems, and the reports of one of them."""
    for each in (
        card("mean", 0, 0.05, {"aca": against(0.01, None)}),
        card("aca", 1, 0.04, {"mean": against(-0.01)}),
    ):
        folder = tmp_path / "cards" / "poolings" / each.system
        folder.mkdir(parents=True)
        each.write(folder / "card.json")
    (folder / "reports" / "own").mkdir(parents=True)
    (folder / "reports" / "own" / "card.json").write_text("{}")
    return tmp_path / "cards"


def rows(page):
    """The cells of every line of every table, by the first cell."""
    found = {}
    for line in page.read_text().splitlines():
        if line.startswith("| "):
            first, *cells = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            found.setdefault(first, []).append(cells)
    return found


def test_the_page_says_what_the_cards_say(cards, tmp_path):
    speed = Speed(
        processor="Another CPU",
        cores=2,
        versions={},
        timings=[
            Timing(system="aca", threads=threads, seconds=seconds, milliseconds=time, ratio=1.0)
            for threads, seconds, time in ((1, 3, 12.34), (2, 3, 7.0), (1, 60, 99.96))
        ],
    )
    (tmp_path / "speed.json").write_text(speed.as_json())
    answer = acanet("results", cards, "--speed", tmp_path / "speed.json", "-o", tmp_path / "page.md")
    assert answer.code == 0, answer.err
    text, tables = (tmp_path / "page.md").read_text(), rows(tmp_path / "page.md")
    assert "## Which | pooling?\n\nACA against *statistics*.\n" in text
    assert "one core (Another CPU)" in text
    measured, paired, budget, origin = tables["aca"]
    size = ["aca", "1,234,568", "0.25 G", "12.3", "100.0"]
    assert measured == [*size, "4.00 [3.00, 5.00]", "0.400 [0.300, 0.500]"]
    assert tables["mean"][0][3:5] == ["–", "–"]
    assert paired == ["-1.00 [-1.50, -0.50]", "0.80 [0.68, 0.93]", "-0.010 [-0.015, -0.005]"]
    assert len(tables["mean"]) == 3  # the first is the reference
    assert budget == ["A CPU, 2 cores", "800", "25,600", "17.8", "1.25", "1", "800"]
    command = "`acanet experiment recipes/poolings.yaml --only aca --out runs/poolings`"
    assert origin[:2] == [command, "`0123456789ab`, changed"]
    assert origin[2:] == ["4 speakers, 1,200 utterances, `cdcdcdcdcdcdcdcd`", "1"]


def test_the_reference_can_be_chosen(cards, tmp_path):
    command = ("results", cards, "-o", tmp_path / "page.md")
    assert acanet(*command, "--reference", "aca").code == 0
    (found,) = [cells for cells in rows(tmp_path / "page.md")["mean"] if len(cells) == 3]
    assert found[:2] == ["+1.00 [+0.50, +1.50]", "–"]  # aca has no errors in some draw
    wrong = acanet(*command, "--reference", "acaa")
    assert wrong.code == 2
    assert "no card of a system 'acaa'; did you mean 'aca'?" in wrong.err


def test_further_references_have_ratios(cards, tmp_path):
    chosen = [word for name in ("aca", "mean") for word in ("--reference", name)]
    assert acanet("results", cards, "-o", tmp_path / "page.md", *chosen).code == 0
    assert "| system | own: EER, times that of mean |" in (tmp_path / "page.md").read_text()
    tables = rows(tmp_path / "page.md")
    assert [cells for cells in tables["aca"] if len(cells) == 1] == [["0.80 [0.68, 0.93]"]]
    assert [cells for cells in tables["mean"] if len(cells) in (1, 3)] == [
        ["+1.00 [+0.50, +1.50]", "–", "+0.010 [+0.005, +0.015]"],
        ["–"],
    ]


def test_pictures_lie_beside_the_page_and_say_what_they_show(cards, tmp_path):
    assert acanet("results", cards, "-o", tmp_path / "page.md").code == 0
    shown = re.findall(r"^!\[(.+)\]\((.+)\)$", (tmp_path / "page.md").read_text(), re.MULTILINE)
    assert [place for _, place in shown] == [f"figures/page-poolings-{kind}.svg" for kind in ("parameters", "learning")]
    for told, place in shown:
        root = ElementTree.parse(tmp_path / place).getroot()
        assert root.find("{http://www.w3.org/2000/svg}title").text == told
        texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
        assert {"mean", "aca"} <= texts
    again = {place: (tmp_path / place).read_bytes() for _, place in shown}
    assert acanet("results", cards, "-o", tmp_path / "page.md").code == 0
    assert {place: (tmp_path / place).read_bytes() for place in again} == again


def test_experiments_have_sections_in_the_order_given(cards, tmp_path):
    other = tmp_path / "other.json"
    card("ecapa", 0, 0.06, {}, experiment="another", title=None, about=None, dev=()).write(other)
    assert acanet("results", other, cards, "--reference", "aca", "-o", tmp_path / "page.md").code == 0
    headings = re.findall("^## (.*)", (tmp_path / "page.md").read_text(), re.MULTILINE)
    assert headings == ["another", "Which | pooling?"]
    assert not (tmp_path / "figures" / "page-another-learning.svg").exists()


def test_seeds_of_one_system_are_summed_up(tmp_path):
    for place, eer in enumerate((0.04, 0.06, 0.053)):
        recipe = Recipe.model_validate({"data": {"train": ["train.jsonl"]}, "seed": place})
        seeds = {"ecapa": against(0.01, ratio=0.85)}
        card(f"aca-{place}", place, eer, {}, seeds=seeds, recipe=recipe).write(tmp_path / f"{place}.json")
    card("ecapa", 3, 0.06, {}).write(tmp_path / "3.json")
    given = [tmp_path / f"{place}.json" for place in range(4)]
    chosen = ("--reference", "ecapa", "--reference", "aca-0")
    assert acanet("results", *given, *chosen, "-o", tmp_path / "page.md").code == 0
    found = rows(tmp_path / "page.md")["aca-0, aca-1, aca-2"][-1]
    assert found == ["5.10 (4.00 to 6.00)", "0.85 [0.72, 0.97]", "–"]
    assert rows(tmp_path / "page.md")["ecapa"][-3:-2] == [["6.00", "–", "–"]]
    assert "| times that of ecapa | times the mean of aca-0's |" in (tmp_path / "page.md").read_text()


def test_changed_keys_of_a_model_are_told_and_nobody_timed_it(tmp_path):
    recipe = Recipe.model_validate(
        {"model": {"name": "aca", "change": {"aggregator": {"latents": 8}}}, "data": {"train": ["train.jsonl"]}}
    )
    card("small", 0, 0.05, {}, recipe=recipe).write(tmp_path / "card.json")
    timing = Timing(system="aca", threads=1, seconds=3, milliseconds=12.3, ratio=1.0)
    (tmp_path / "speed.json").write_text(Speed(processor="", cores=1, versions={}, timings=[timing]).as_json())
    command = ("results", tmp_path / "card.json", "--speed", tmp_path / "speed.json", "-o", tmp_path / "page.md")
    assert acanet(*command).code == 0
    first = rows(tmp_path / "page.md")["small"][0]
    assert (first[0], first[3]) == ("aca, changed: aggregator.latents=8", "–")


def test_what_is_no_run_card_is_refused(cards, tmp_path):
    page = tmp_path / "page.md"
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "report.json").write_text("{}")
    copy = tmp_path / "copy.json"
    copy.write_bytes((cards / "poolings" / "aca" / "card.json").read_bytes())
    for given, told in (
        ([tmp_path / "empty"], "no card.json in it"),
        ([tmp_path / "nowhere"], "nowhere: no such file"),
        ([tmp_path / "text.json"], "text.json: not JSON"),
        ([tmp_path / "report.json"], "experiment: Field required"),
        ([cards, copy], "system 'aca' of 'poolings' again"),
    ):
        answer = acanet("results", *given, "-o", page)
        assert answer.code == 2
        assert told in answer.err
    assert not page.exists()


def test_the_front_by_hand():
    def point(name, cost, eer):
        return Point(name, cost, measure(eer, 0))

    dear, best, cheap = point("dear", 9, 0.05), point("best", 8, 0.04), point("cheap", 1, 0.06)
    same, worse = point("same", 8, 0.06), point("worse", 8, 0.05)
    assert front([dear, best, cheap, same, worse]) == [cheap, best]


def test_the_page_is_made_without_torch(cards, tmp_path):
    assert "torch" not in loaded_by("-m", "acanet", "results", str(cards), "-o", str(tmp_path / "page.md"))


def test_the_published_page_is_what_the_committed_cards_give(tmp_path, monkeypatch):
    """As `make results` makes it."""
    monkeypatch.chdir(ROOT)
    rules = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", "")
    (line,) = re.findall(r"^\t@\$\(BIN\)/acanet (results .*)$", rules, re.MULTILINE)
    *words, option, page = shlex.split(line)
    assert (option, ROOT / page) == ("-o", PUBLISHED)
    answer = acanet(*words, "-o", tmp_path / PUBLISHED.name)
    assert answer.code == 0, answer.err
    assert (tmp_path / PUBLISHED.name).read_bytes() == PUBLISHED.read_bytes()
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    assert made == {path.name for path in (ROOT / "docs" / "figures").glob("results-*.svg")}


def fields(kind):
    """The names of a card's fields: of groups with what is in them, of a group by names after `NAME`."""
    inside = {"budget": Budget, "size": Size, "machine": Machine, "code": Code, "data": Data, "dev": DevResult}
    for name in kind.model_fields:
        yield name
        if name in inside:
            yield from inside[name].model_fields
        if name == "lists":
            yield from (f"lists.NAME.{part}" for part in Listed.model_fields)
            yield from Paired.model_fields


def test_every_field_of_the_run_card_is_documented():
    page = (ROOT / "docs" / "numbers.md").read_text("utf-8")
    section = page.partition("## The run card")[2].partition("\n## ")[0]
    told = {name.removeprefix("budget.") for name in re.findall(r"`([^`]+)`", section)}
    assert set(fields(RunCard)) <= told
