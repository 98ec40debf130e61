"""Picture: speakers ranked by their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from acanet.evaluation.report.errors_by_speaker import Kind, Zoo
from acanet.evaluation.report.plots.canvas import NONTARGET, QUIET, TARGET, new_figure, plain, save

SHOWN = 12
LONGEST = 24


def zoo_png(path: Path, zoo: Zoo, title: str = "") -> None:
    """Draw the speakers that go wrong most often: goats by FNMR, lambs and wolves by FMR.

    Args:
        path: the PNG file to write.
        zoo: the speakers.
        title: above the picture.

    Raises:
        MissingExtra: without matplotlib.
    """
    panels: tuple[tuple[Kind, str, str, str], ...] = (
        ("goat", "goats: refused as themselves", "FNMR (%)", TARGET),
        ("lamb", "lambs: others accepted as them", "FMR (%)", NONTARGET),
        ("wolf", "wolves: accepted as others", "FMR (%)", "tab:red"),
    )
    figure = new_figure(9.5, 4.2)
    figure.suptitle(plain(title), fontsize="medium")
    for axes, (kind, heading, unit, colour) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axes.set_title(heading, fontsize="small")
        axes.set_xlabel(unit)
        _bars(axes, kind, zoo, colour)
    save(figure, path)


def _bars(axes: Any, kind: Kind, zoo: Zoo, colour: str) -> None:
    animals, rate = zoo.worst(kind, SHOWN), zoo.overall(kind).share
    if not animals:
        axes.text(0.5, 0.5, "no errors", ha="center", va="center", transform=axes.transAxes)
        axes.set_yticks([])
        axes.set_xlim(0, 1)
        return
    places = range(len(animals))
    shares = [100 * getattr(animal, kind).share for animal in animals]
    axes.barh(places, shares, color=colour, alpha=0.7)
    names = [plain(_short(animal.speaker)) for animal in animals]
    axes.set_yticks(places, names, fontsize="x-small")
    axes.set_ylim(SHOWN - 0.4, -0.6)
    axes.set_xlim(0, 1.25 * max(*shares, 100 * rate))
    for place, animal in zip(places, animals, strict=True):
        errors = getattr(animal, kind)
        axes.annotate(
            f"{errors.errors:,}/{errors.trials:,}",
            (100 * errors.share, place),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize="xx-small",
        )
    axes.axvline(100 * rate, color=QUIET, linewidth=0.8, linestyle="--", label=f"all: {100 * rate:.2f} %")
    axes.legend(fontsize="x-small", loc="lower right")


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else "..." + name[-LONGEST:]
