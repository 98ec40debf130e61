"""Pictures of extreme cases: that they are made, without a warning, and show what there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acanet.evaluation.conditions.tables import Conditions, Row
from acanet.evaluation.explain import Explanation
from acanet.evaluation.figures.bands import Band, det_band
from acanet.evaluation.figures.metrics import error_rates
from acanet.evaluation.figures.reliability_diagram import BayesErrors, Reliability, bayes_errors, reliability
from acanet.evaluation.report.errors_by_speaker import Animal, Errors, Zoo
from acanet.evaluation.report.plots import canvas
from acanet.evaluation.report.plots.attention import attention_png
from acanet.evaluation.report.plots.conditions import conditions_png
from acanet.evaluation.report.plots.det import Curve, det_png
from acanet.evaluation.report.plots.histogram import histogram_png
from acanet.evaluation.report.plots.reliability import reliability_png
from acanet.evaluation.report.plots.zoo import zoo_png
from acanet.runtime.front_end import FrontEndConfig
from acanet.scoring.measure import Measure

pytestmark = pytest.mark.filterwarnings("error")

TARGET = np.array([False, False, True, True])
ENROL, TEST = np.array([0, 1, 0, 1]), np.array([1, 0, 0, 1])
EXTREMES = {
    "perfect": [0.1, 0.2, 0.8, 0.9],
    "inverted": [0.9, 0.8, 0.2, 0.1],
    "all tied": [0.5, 0.5, 0.5, 0.5],
}
ODD = "$x^$ <b> & _y \udcff"


@pytest.fixture
def picture(tmp_path, monkeypatch):
    """Where to draw; the figures drawn are kept as `drawn`."""
    made = []
    save = canvas.save

    def keep(figure, path):
        made.append(figure)
        save(figure, path)

    for name in ("attention", "conditions", "det", "histogram", "reliability", "zoo"):
        monkeypatch.setattr(f"acanet.evaluation.report.plots.{name}.save", keep)
    monkeypatch.setattr(canvas, "DPI", 40)

    class Picture:
        path = tmp_path / "picture.png"

        @property
        def axes(self):
            (figure,) = made
            assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]
            assert self.path.read_bytes().startswith(b"\x89PNG")
            return figure.axes

    return Picture()


@pytest.mark.parametrize("name", EXTREMES)
def test_det_of_extreme_scores(picture, name):
    scores = np.array(EXTREMES[name])
    _, fmr, fnmr = error_rates(scores, TARGET)
    band = det_band(scores, TARGET, ENROL, TEST, replicates=5)
    det_png(picture.path, [Curve(ODD, fmr, fnmr, band), Curve("without a band", fmr, fnmr)], ODD)
    (axes,) = picture.axes
    assert axes.get_xlabel() == "false match rate, FMR (%)"
    assert axes.get_ylabel() == "false non-match rate, FNMR (%)"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        canvas.plain(ODD),
        "without a band",
        "FMR = FNMR",
    ]
    assert len(axes.collections) == 1


def test_the_axes_of_det_are_normal_deviates(picture):
    """Normally distributed scores give a straight line, of slope -1 where both classes spread alike."""
    from scipy.stats import norm

    thresholds = np.linspace(-6, 6, 200)
    fmr, fnmr = norm.sf(thresholds, -1.5), norm.cdf(thresholds, 1.5)
    det_png(picture.path, [Curve("gauss", fmr, fnmr, Band(fmr[::-1], fnmr[::-1] / 2, fnmr[::-1]))])
    (axes,) = picture.axes
    line = axes.lines[0]
    inside = (np.abs(line.get_xdata()) < 3) & (np.abs(line.get_ydata()) < 3)
    slopes = np.diff(line.get_ydata()[inside]) / np.diff(line.get_xdata()[inside])
    np.testing.assert_allclose(slopes, -1, atol=1e-6)
    (low, high), ticks = axes.get_xlim(), axes.get_xticks()
    assert low <= ticks[0] <= norm.ppf(norm.cdf(-1.5)) <= ticks[-1] <= high


@pytest.mark.parametrize("name", EXTREMES)
def test_histogram_of_extreme_scores(picture, name):
    histogram_png(picture.path, np.array(EXTREMES[name], np.float32), TARGET, 0.5, ODD, "asnorm, 3 speakers")
    (axes,) = picture.axes
    assert axes.get_xlabel() == "score (asnorm, 3 speakers)"
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert set(labels) == {"nontarget, 2 trials", "target, 2 trials", "EER threshold 0.500"}


@pytest.mark.parametrize("name", EXTREMES)
def test_reliability_of_extreme_ratios(picture, name):
    llrs = 100 * (np.array(EXTREMES[name]) - 0.5)
    observed = reliability(llrs, TARGET, ENROL, TEST, replicates=5)
    reliability_png(picture.path, observed, bayes_errors(llrs, TARGET), ODD)
    left, right = picture.axes
    assert left.get_xlabel() == "stated log-likelihood ratio (natural log)"
    assert right.get_ylabel() == "normalised error rate"


def test_what_reliability_cannot_show_is_told(picture):
    none = np.empty(0)
    errors = BayesErrors(np.array([-1.0, 1.0]), np.array([40.0, 0.2]), np.array([0.1, 0.1]))
    reliability_png(picture.path, Reliability(none, none, none, none, 1234), errors)
    left, right = picture.axes
    assert [text.get_text() for text in left.texts] == ["1,234 trials in bins\nof one class: not shown"]
    assert right.get_ylim()[1] < 3  # the rest of a curve that goes to 40 stays in sight


def test_infinite_ends_of_intervals(picture):
    observed = Reliability(np.zeros(1), np.zeros(1), np.array([-np.inf]), np.array([np.inf]), 0)
    reliability_png(picture.path, observed, BayesErrors(np.array([-1.0, 1.0]), np.ones(2), np.ones(2)))
    left, _ = picture.axes
    assert np.abs(left.get_xlim()).max() < 5


def test_a_zoo_without_errors(picture):
    none = Errors(errors=0, trials=5)
    zoo_png(picture.path, Zoo(threshold=0.5, speakers=(Animal(speaker="a", goat=none, lamb=none, wolf=none),)))
    assert [axes.texts[0].get_text() for axes in picture.axes] == ["no errors"] * 3


def test_a_zoo_ranks_and_shortens(picture):
    none = Errors(errors=0, trials=0)
    speakers = [
        Animal(speaker=f"{'long' * 20}{number:02}$", goat=Errors(errors=number, trials=40), lamb=none, wolf=none)
        for number in range(30)
    ]
    zoo_png(picture.path, Zoo(threshold=0.5, speakers=tuple(speakers)), ODD)
    goats = picture.axes[0]
    names = [label.get_text() for label in goats.get_yticklabels()]
    assert len(names) == 12
    assert names[0] == "..." + canvas.plain(speakers[-1].speaker[-24:])
    assert [patch.get_width() for patch in goats.patches][:2] == [100 * 29 / 40, 100 * 28 / 40]
    assert goats.texts[0].get_text() == "29/40"


def row(name: str, group: str, side: str, rate: float | None) -> Row:
    eer = None if rate is None else Measure(value=rate, low=rate / 2, high=2 * rate)
    return Row(name=name, group=group, side=side, trials=9, targets=3, nontargets=6, speakers=5, eer=eer)


@pytest.mark.parametrize("rates", [(None, None), (0.0, 0.0), (0.02, None), (0.02, 0.4)])
def test_conditions_of_extreme_figures(picture, rates):
    clean = Measure(value=0.0, low=0.0, high=0.0)
    rows = (row("gender", ODD, "both", rates[0]), row("noise", "0 dB", "test", rates[1]))
    conditions_png(picture.path, Conditions(clean=clean, replicates=5, seed=0, conditions=(), rows=rows), ODD)
    axes, bar = picture.axes
    assert [text.get_text() for text in axes.texts if text.get_text()] == [
        "no figure" if rate is None else f"{100 * rate:.1f} [{50 * rate:.1f}, {200 * rate:.1f}]" for rate in rates
    ]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["test side only", "both sides"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [canvas.plain(f"gender: {ODD}"), "noise: 0 dB"]
    assert bar.get_ylabel() == "EER (%)"


@pytest.mark.parametrize("samples", [400, 16000])
@pytest.mark.parametrize("segments", [[], [(0.0, 0.01)], [(0.0, 0.01), (0.02, 5.0)]], ids=len)
def test_attention_of_extreme_recordings(picture, samples, segments):
    frames = max(1, samples // 320)
    attention = np.full((3, frames), 1 / frames, np.float32)
    silence = Explanation(ODD, np.zeros(samples, np.float32), FrontEndConfig(), attention, np.arange(frames), segments)
    attention_png(picture.path, silence)
    spectrogram, over_time, latents, *_ = picture.axes
    assert spectrogram.get_ylabel() == "frequency (Hz), mel scale"
    assert latents.get_xlabel() == "time (s)"
    assert "speech" in [text.get_text() for text in over_time.get_legend().get_texts()] or not segments


def test_a_picture_takes_its_place_when_it_is_complete(tmp_path: Path, monkeypatch):
    path = tmp_path / "picture.png"
    path.write_bytes(b"before")
    figure = canvas.new_figure(1, 1)
    monkeypatch.setattr(figure, "savefig", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        canvas.save(figure, path)
    assert path.read_bytes() == b"before"
