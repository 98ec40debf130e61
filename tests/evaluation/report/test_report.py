from __future__ import annotations

import dataclasses
import doctest
import gzip
import json
import os
import sys
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest

from acanet.data.lists.manifest import Utterance
from acanet.data.lists.sides import Sides
from acanet.data.lists.trials import Trials
from acanet.errors import BadTrials, MissingExtra
from acanet.evaluation.conditions.tables import Condition, Conditions, Row
from acanet.evaluation.embedding import Embedded
from acanet.evaluation.explain import Attended, Explanation
from acanet.evaluation.figures.bands import det_band, weigh
from acanet.evaluation.figures.intervals import measure
from acanet.evaluation.figures.metrics import act_dcf, eer, eer_threshold, error_rates, min_dcf
from acanet.evaluation.figures.reliability_diagram import bayes_errors, reliability
from acanet.evaluation.paired_comparison import PairedComparison, compare_paired
from acanet.evaluation.report.errors_by_speaker import Mistakes, Zoo, rank_speakers, worst_trials
from acanet.evaluation.report.report_folder import FILES, summary, write_report
from acanet.evaluation.result import Counts, Result, ResultsCard
from acanet.evaluation.scorer import Scorer
from acanet.runtime.front_end import FrontEndConfig
from acanet.scoring.measure import Measure

CHROMIUM = Path("/usr/bin/chromium")
VOID = {"meta", "link", "img", "br"}


def measured(value: float) -> Measure:
    return Measure(value=value, low=0.8 * value, high=1.25 * value)


def evaluated(trials, utterances, *, llrs=None, model="spectrum", fingerprint="0123456789abcdef", path="some.trials"):
    """A result as `evaluate` gives it: trials are rows of label, enrolment, test and score."""
    labels, enrol, test, scores = (list(column) for column in zip(*trials, strict=True))
    names = [utterance.id for utterance in utterances]
    target, values = np.array(labels, bool), np.array(scores, np.float32)
    speakers = np.unique([utterance.speaker or utterance.id for utterance in utterances], return_inverse=True)[1]
    figures = {"eer": measured(eer(values, target)), "min_dcf(0.01)": measured(min_dcf(values, target, 0.01))}
    if llrs is not None:
        figures["cllr"] = measured(0.5)
    card = ResultsCard(
        model=model,
        fingerprint=fingerprint,
        trial_list=Path(path).name,
        trial_list_sha256="5" * 64,
        counts=Counts(
            trials=len(target),
            targets=int(target.sum()),
            nontargets=int((~target).sum()),
            utterances=len(names),
            speakers=len(set(speakers)),
        ),
        speakers_from="manifest",
        figures=figures,
        eer_threshold=eer_threshold(values, target),
        replicates=10,
        seed=0,
        seen=False,
        audio_hours=0.25,
        wall_seconds=3.5,
        versions={"acanet": "1", "python": "3"},
        date="2025-01-02T03:04:05+00:00",
    )
    sides = [np.array([names.index(name) for name in side]) for side in (enrol, test)]
    members = [np.array([row]) for row in range(len(names))]
    return Result(
        card,
        Scorer(Trials(Path(path), names, *sides, target, "5" * 64), Sides(utterances, members, speakers, "manifest")),
        Embedded(np.eye(len(names), 3, dtype=np.float32), np.ones(len(names)), None, ()),
        values,
        None if llrs is None else np.array(llrs, np.float64),
    )


def said(name: str, speaker: str, path: Path = Path("nowhere.wav")) -> Utterance:
    return Utterance(name, path, speaker, name)


FEW = [said("a1", "anna"), said("a2", "anna"), said("b1", "bo"), said("b2", "bo"), said("c1", "cleo")]
HAND = [
    (1, "a1", "a2", 0.9),
    (1, "b1", "b2", 0.2),
    (0, "a1", "b1", 0.5),
    (0, "a1", "c1", 0.8),
    (0, "b2", "c1", 0.1),
    (0, "c1", "a2", 0.0),
    (0, "b1", "a1", 0.1),
]  # EER threshold 0.5: one of two targets, two of five nontargets are wrong


@pytest.fixture(scope="module")
def many() -> Result:
    """12 speakers with 4 utterances each, all pairs, calibrated Gaussian scores with speaker effects."""
    generator = np.random.default_rng(0)
    utterances = [said(f"s{speaker:02}/{take}", f"s{speaker:02}") for speaker in range(12) for take in range(4)]
    effect = dict(zip([f"s{speaker:02}" for speaker in range(12)], generator.normal(size=12), strict=True))
    trials = []
    for row, one in enumerate(utterances):
        for other in utterances[row + 1 :]:
            same = one.speaker == other.speaker
            mean = (4 if same else -4) + 0.5 * (effect[one.speaker] + effect[other.speaker])
            trials.append((same, one.id, other.id, mean + np.sqrt(8) * generator.normal()))
    llrs = [score for *_, score in trials]
    return evaluated([(*trial, score / 20) for *trial, score in trials], utterances, llrs=llrs)


@pytest.fixture(scope="module")
def conditions() -> Conditions:
    rows = [
        Row(name="gender", group=group, side="both", trials=9, targets=3, nontargets=6, speakers=5, eer=measured(rate))
        for group, rate in (("f", 0.1), ("m", 0.05))
    ]
    rows.append(rows[0].model_copy(update={"group": "<b>&", "eer": None, "note": "fewer than 5 speakers"}))
    rows += [
        rows[0].model_copy(update={"name": "noise", "group": group, "side": side, "ratio": measured(2.0)})
        for group in ("10 dB", "0 dB")
        for side in ("test", "both")
    ]
    about = (
        Condition(name="gender", kind="field", about="the field gender", mixed=7),
        Condition(name="noise", kind="change", about="white noise"),
    )
    return Conditions(clean=measured(0.05), replicates=10, seed=0, conditions=about, rows=tuple(rows))


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    generator = np.random.default_rng(0)
    attention = generator.random((6, 50)).astype(np.float32)
    attention /= attention.sum(axis=1, keepdims=True)
    waveform = 0.1 * generator.normal(size=16000).astype(np.float32)
    return Explanation("a <b>", waveform, FrontEndConfig(), attention, 0.01 + 0.02 * np.arange(50), [(0.2, 0.7)])


@pytest.fixture
def undrawn(monkeypatch):
    """Pictures that take no time, for tests of words."""

    def draw(draft, *_):
        for name in ("det", "histogram", "zoo"):
            (draft / f"{name}.png").write_bytes(b"png")
        return dict.fromkeys(("det", "histogram", "zoo", "attention"), b"png")

    monkeypatch.setattr("acanet.evaluation.report.report_folder._draw", draw)


class Page(HTMLParser):
    """Reads a page strictly: every element that opens closes, in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.tags, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data + " "

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def page_of(folder: Path) -> Page:
    return Page((folder / "report.html").read_text("utf-8"))


def test_every_part_is_there_and_reads_back(tmp_path, many, conditions, explanation):
    write_report(tmp_path / "new" / "report", many, conditions=conditions, explanations=[explanation] * 2)
    folder = tmp_path / "new" / "report"
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)

    def read(name):
        return json.loads((folder / name).read_text("utf-8"))

    assert ResultsCard.parse(read("card.json"), "card.json") == many.card
    assert Conditions.parse(read("conditions.json"), "conditions.json") == conditions
    assert Zoo.parse(read("zoo.json"), "zoo.json") == rank_speakers(many)
    assert Mistakes.parse(read("errors.json"), "errors.json") == worst_trials(many)
    assert Attended.parse(read("attention.json"), "attention.json").utterances == (explanation.shares,) * 2
    page = page_of(folder)
    pictures = [image["src"] for image in page.all("img")]
    assert len(pictures) == 6
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    assert all(image["alt"] for image in page.all("img"))
    for words in (
        "EER",
        many.card.fingerprint,
        "5" * 64,
        "12, from the manifest",
        "2025-01-02 03:04:05+00:00",
        "Worst to best 2.00",
        "Left out: 7 trials of two groups",
        "fewer than 5 speakers",
        "What the model attends to",
    ):
        assert words in page.text


def test_files_of_an_earlier_report_are_replaced_or_removed(tmp_path, many, conditions, explanation):
    write_report(tmp_path, many, conditions=conditions, explanations=[explanation])
    first = (tmp_path / "det.png").read_bytes()
    few = evaluated(HAND, FEW)
    write_report(tmp_path, few)
    gone = {"reliability.png", "conditions.png", "conditions.json", "attention.png", "attention.json"}
    assert {file.name for file in tmp_path.iterdir()} == set(FILES) - gone
    assert (tmp_path / "det.png").read_bytes() != first
    assert len(page_of(tmp_path).all("img")) == 3


@pytest.mark.usefixtures("undrawn")
def test_a_report_that_fails_changes_nothing(tmp_path, many, monkeypatch):
    write_report(tmp_path, evaluated(HAND, FEW))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    monkeypatch.setattr("acanet.evaluation.report.report_folder.render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_report(tmp_path, many)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.usefixtures("undrawn")
def test_the_card_takes_its_place_last(tmp_path, monkeypatch):
    placed, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda one, other: (placed.append(Path(other)), replace(one, other)))
    write_report(tmp_path, evaluated(HAND, FEW))
    final = [path.name for path in placed if path.parent == tmp_path]
    assert final[-1] == "card.json"
    assert len(final) == len(set(final)) == 8


@pytest.mark.parametrize("package", ["matplotlib.figure", "scipy.special", "jinja2"])
def test_a_missing_package_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=package.partition(".")[0]):
        write_report(tmp_path, evaluated(HAND, FEW))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("undrawn")
def test_scores_are_written_with_their_ratios(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "acanet.evaluation.report.report_folder.BLOCK", 3
    )  # seven trials: blocks that are full, and one that is not
    few = evaluated(HAND, FEW)
    for llrs, width in ((None, 4), (np.linspace(-3, 3, len(HAND)), 5)):
        write_report(tmp_path, dataclasses.replace(few, llrs=llrs))
        lines = gzip.decompress((tmp_path / "scores.txt.gz").read_bytes()).decode().splitlines()
        fields = [line.split(" ") for line in lines]
        assert {len(row) for row in fields} == {width}
        assert [(int(row[0]), row[1], row[2]) for row in fields] == [trial[:3] for trial in HAND]
        np.testing.assert_array_equal(np.array([row[3] for row in fields], np.float32), few.scores)
        if llrs is not None:
            np.testing.assert_allclose(np.array([row[4] for row in fields], float), llrs, rtol=1e-8)


def test_names_are_shown_as_they_are(tmp_path):
    odd = ["<script>alert(1)</script>", 'a&b"c', "d'e", "$x$", "$y"]
    utterances = [
        dataclasses.replace(utterance, id=name, speaker=f"<i>&{utterance.speaker}")
        for utterance, name in zip(FEW, odd, strict=True)
    ]
    new = {utterance.id: name for utterance, name in zip(FEW, odd, strict=True)}
    trials = [(label, new[enrol], new[test], score) for label, enrol, test, score in HAND]
    result = evaluated(trials, utterances, model="<b>$m", path="x<y&z$.trials")
    write_report(tmp_path, result, command=["acanet", "<u>", "a b"])
    page = page_of(tmp_path)
    assert {tag for tag, _ in page.tags} & {"script", "i", "b", "u"} == {"b"}  # b is the page's own
    for words in ("<b>$m on x<y&z$.trials", "<script>alert(1)</script>", "$x$", "<i>&anna", "acanet '<u>' 'a b'"):
        assert words in page.text


@pytest.mark.usefixtures("undrawn")
def test_a_published_report_tells_no_folder_of_the_machine(tmp_path, explanation):
    folder = tmp_path / "secret" / "audio"
    folder.mkdir(parents=True)
    utterances = [said(str(folder / utterance.id), utterance.speaker, folder / utterance.id) for utterance in FEW]
    for utterance in utterances:
        utterance.path.write_bytes(b"")
    trials = [(label, str(folder / enrol), str(folder / test), score) for label, enrol, test, score in HAND]
    nameless = [dataclasses.replace(utterance, speaker="") for utterance in utterances]
    result = evaluated(trials, utterances, path=str(folder / "some.trials"))
    sides = dataclasses.replace(result.sides, utterances=nameless)
    result = dataclasses.replace(result, scorer=Scorer(result.trials, sides))
    command = ["acanet", "evaluate", str(folder / "some.trials"), f"--audio-root={folder}", "--report", "report"]
    write_report(tmp_path / "report", result, command=command, explanations=[explanation])
    for file in (tmp_path / "report").iterdir():
        if file.suffix != ".gz":
            assert b"secret" not in file.read_bytes(), file.name
    page = page_of(tmp_path / "report")
    assert "acanet evaluate some.trials --audio-root=audio --report report" in page.text
    assert "speaker of a1" in page.text
    assert page.all("audio") == []

    write_report(tmp_path / "report", result, command=command, players=True)
    assert str(folder / "some.trials") in page_of(tmp_path / "report").text


@pytest.mark.usefixtures("undrawn")
def test_players_lead_to_the_recordings(tmp_path):
    place = tmp_path / "audio #1 & <more>"
    place.mkdir()
    utterances = [said(utterance.id, utterance.speaker, place / f"{utterance.id} %20.wav") for utterance in FEW]
    for utterance in utterances[1:]:
        utterance.path.write_bytes(b"RIFF")
    utterances[4] = dataclasses.replace(utterances[4], start=1.5, duration=2.0)
    result = evaluated(HAND, utterances)
    folder = tmp_path / "results" / "one"
    write_report(folder, result, players=True)
    found = set()
    for audio in page_of(folder).all("audio"):
        assert audio["preload"] == "none"
        parts = urlsplit(audio["src"])
        found.add(((folder / unquote(parts.path)).resolve(), parts.fragment))
    # Wrong are a1-c1, a1-b1 and b1-b2, and the file of a1 is not there.
    paths = {utterance.id: utterance.path for utterance in utterances}
    assert found == {(paths["b1"], ""), (paths["b2"], ""), (paths["c1"], "t=1.5,3.5")}


@pytest.mark.usefixtures("undrawn")
def test_systems_side_by_side(tmp_path, many):
    worse = dataclasses.replace(many, scores=(many.scores - 0.2 * many.trials.target).astype(np.float32))
    other = PairedComparison(worse, {"eer": Measure(value=-0.0123, low=-0.02, high=-0.004)})
    write_report(tmp_path, many, others=[other, PairedComparison(worse, {})])
    page = page_of(tmp_path)
    assert "-1.23 % [-2.00, -0.40]" in page.text
    assert "spectrum, cosine, 0123456789abcdef (3)" in page.text  # nothing else tells them apart
    named = dataclasses.replace(worse, card=many.card.model_copy(update={"model": "wavelet"}))
    write_report(tmp_path, many, others=[PairedComparison(named, {})])
    page = page_of(tmp_path)
    assert "wavelet" in page.text
    assert "spectrum, cosine" not in page.text


def test_systems_on_different_lists_are_refused(many):
    listed = dataclasses.replace(many.trials, path=Path("b.trials"), sha256="6" * 64)
    other = dataclasses.replace(many, scorer=Scorer(listed, many.sides))
    with pytest.raises(BadTrials, match=r"b\.trials: another list than some\.trials"):
        compare_paired(many, other)


def test_speakers_by_hand():
    zoo = rank_speakers(evaluated(HAND, FEW))
    assert zoo.threshold == 0.5
    counts = {
        animal.speaker: [(part.errors, part.trials) for part in (animal.goat, animal.lamb, animal.wolf)]
        for animal in zoo.speakers
    }
    assert counts == {
        "bo": [(1, 1), (0, 2), (1, 1)],
        "anna": [(0, 1), (2, 2), (0, 2)],
        "cleo": [(0, 0), (0, 1), (1, 2)],
    }
    assert list(counts) == ["bo", "anna", "cleo"]
    assert [animal.speaker for animal in zoo.worst("wolf", 5)] == ["bo", "cleo"]
    assert [animal.speaker for animal in zoo.worst("wolf", 1)] == ["bo"]
    assert [animal.speaker for animal in zoo.worst("lamb", 5)] == ["anna"]
    assert (zoo.overall("goat").share, zoo.overall("lamb").share, zoo.overall("wolf").share) == (0.5, 0.4, 0.4)


def test_worst_trials_by_hand():
    result = evaluated(HAND, FEW, llrs=np.arange(7))
    found = worst_trials(result)
    (reject,) = found.false_rejects
    assert (reject.line, reject.enrol, reject.test, reject.enrol_speaker) == (2, "b1", "b2", "bo")
    assert (reject.score, reject.llr) == (pytest.approx(0.2), 1.0)
    assert [(accept.line, accept.enrol_speaker, accept.test_speaker) for accept in found.false_accepts] == [
        (4, "anna", "cleo"),
        (3, "anna", "bo"),
    ]
    assert [accept.line for accept in worst_trials(result, most=1).false_accepts] == [4]


def sides_of(result: Result) -> tuple[np.ndarray, np.ndarray]:
    speakers = result.sides.speakers
    return speakers[result.trials.enrol], speakers[result.trials.test]


def test_weights_follow_the_speakers_drawn():
    target = np.array([True, True, False, False])
    enrol, test = np.array(["x", "y", "x", "x"]), np.array(["x", "y", "y", "z"])
    found = weigh(np.array([0, 1, 1, 2]), 3, target, enrol, test, replicates=50, seed=3)
    assert found.drawn.shape == (51, 3)
    assert found.drawn[0].tolist() == [1, 1, 1]
    assert found.sums.sum(axis=2).min() > 0
    for (x, y, z), (targets, nontargets) in zip(found.drawn, found.sums, strict=True):
        assert targets.tolist() == [x, y, 0]
        assert nontargets.tolist() == [0, x * y, x * z]
    again = weigh(np.array([0, 1, 1, 2]), 3, target, enrol, test, replicates=50, seed=3)
    np.testing.assert_array_equal(found.drawn, again.drawn)


def test_a_band_holds_its_curve_and_is_near_the_interval_of_the_eer(many):
    target = many.trials.target
    sides = sides_of(many)
    band = det_band(many.scores, target, *sides, replicates=200, seed=1)
    _, fmr, fnmr = error_rates(many.scores, target)
    curve = np.interp(-band.across, -fmr, fnmr)
    assert (band.low <= curve + 0.005).all()
    assert (band.high >= curve - 0.005).all()
    assert band.across.min() >= 1 / np.count_nonzero(~target)
    expected = measure(many.scores, target, *sides, replicates=200, seed=1)["eer"]
    for side, end in ((band.low, expected.low), (band.high, expected.high)):
        crossing = band.across[np.argmin(np.abs(side - band.across))]
        assert crossing == pytest.approx(end, abs=0.015)


@pytest.mark.parametrize(("slope", "offset"), [(1.0, 0.0), (0.5, 0.0), (1.0, 2.0)])
def test_observed_ratios_are_those_stated_before_a_distortion(slope, offset):
    """Gaussian scores whose variance is twice their mean are calibrated."""
    generator = np.random.default_rng(0)
    target = np.arange(200_000) < 100_000
    ratios = np.where(target, 4.5, -4.5) + 3 * generator.normal(size=len(target))
    speaker = generator.integers(50, size=len(target))
    found = reliability(slope * ratios + offset, target, speaker, np.where(target, speaker, speaker + 1), replicates=20)
    expected = (found.stated - offset) / slope
    frequent = np.abs(expected) < 4.5  # further out a bin has a few dozen trials of one class
    assert frequent.sum() > 8
    np.testing.assert_allclose(found.observed[frequent], expected[frequent], atol=0.2)
    np.testing.assert_allclose(found.observed, expected, atol=1)
    assert found.unpaired == 0
    assert (found.low <= found.observed).mean() > 0.8
    assert (found.high >= found.observed).mean() > 0.8
    assert (np.diff(found.stated) > 0).all()


def test_ratios_that_separate_perfectly_have_nothing_to_observe():
    llrs, target = np.array([-5.0, -4.0, 4.0, 5.0]), np.array([False, False, True, True])
    found = reliability(llrs, target, np.array([0, 1, 0, 1]), np.array([1, 0, 0, 1]), replicates=5)
    assert len(found.stated) in (0, 1)


def test_bayes_errors_are_the_detection_costs(many):
    found = bayes_errors(many.llrs, many.trials.target, reach=3.0, points=7)
    assert found.log_odds.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    for odds, actual, least in zip(found.log_odds, found.actual, found.least, strict=True):
        prior = 1 / (1 + np.exp(-odds))
        assert actual == pytest.approx(act_dcf(many.llrs, many.trials.target, prior))
        assert least == pytest.approx(min_dcf(many.llrs, many.trials.target, prior))


def test_the_summary_is_in_per_cent_with_intervals():
    card = evaluated(HAND, FEW).card
    rate = Measure(value=0.0512, low=0.042, high=0.061)
    text = "\n".join(summary(card.model_copy(update={"figures": card.figures | {"eer": rate, "fnmr(0.01)": rate}})))
    assert "EER           5.12 % [4.20, 6.10] at the threshold 0.5000" in text
    assert "fnmr(0.01)    5.12 % [4.20, 6.10]" in text
    assert "min_dcf(0.01)" in text
    assert "7 (2 target, 5 nontarget) of 5 utterances, 3 speakers (from the manifest)" in text
    assert "seen" not in text
    assert "seen: " in summary(card.model_copy(update={"seen": True}))[-1]


@pytest.mark.usefixtures("undrawn")
def test_seen_data_are_told_at_the_top(tmp_path):
    few = evaluated(HAND, FEW)
    write_report(tmp_path, dataclasses.replace(few, card=few.card.model_copy(update={"seen": True})))
    assert "may have been trained on these voices" in page_of(tmp_path).text


@pytest.mark.parametrize("name", ["figures.words", "report.html"])
def test_examples_in_docstrings(name):
    found = doctest.testmod(import_module(f"acanet.evaluation.{name}"))
    assert found.attempted
    assert not found.failed


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_without_complaint(tmp_path, many, conditions, explanation, scheme):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra `dev`)")
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: apt-get install chromium")
    write_report(
        tmp_path,
        many,
        conditions=conditions,
        explanations=[explanation],
        others=[PairedComparison(many, {})],
        players=True,
    )
    complaints = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width in (1366, 400):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.on("console", lambda message: complaints.append(message.text))
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("requestfailed", lambda request: complaints.append(request.url))
            page.goto((tmp_path / "report.html").as_uri())
            widths = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
            assert len(widths) == 6
            assert min(widths) > 600
            assert page.evaluate("document.documentElement.scrollWidth") <= width  # wide tables scroll by themselves
        browser.close()
    assert complaints == []


def test_a_system_compared_with_another(many):
    worse = dataclasses.replace(many, scores=(many.scores - 0.2 * many.trials.target).astype(np.float32))
    found = compare_paired(many, worse)
    assert found.differences["eer"].value == pytest.approx(
        eer(many.scores, many.trials.target) - eer(worse.scores, many.trials.target)
    )
    assert found.summary()[0].startswith("against spectrum (0123456789ab)")
    assert compare_paired(many, many).differences["eer"] == Measure(value=0.0, low=0.0, high=0.0)
