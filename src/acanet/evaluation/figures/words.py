"""How figures are shown to people, by the names that `acanet.evaluation.figures.intervals.measure` gives them."""

from __future__ import annotations

from acanet.scoring.measure import Measure

RATES = {"eer", "eer_hull", "fnmr", "false_accepts", "false_rejects"}
_ABOUT = {
    "eer": "equal error rate: where FMR and FNMR are the same",
    "eer_hull": "equal error rate on the convex hull of the curve",
    "auc": "area under the ROC curve: how often a target trial scores above a nontarget one",
    "min_dcf": "least detection cost where that share of the trials are targets",
    "act_dcf": "detection cost of deciding by the log-likelihood ratios there",
    "cllr": "cost of the log-likelihood ratios, bits a trial",
    "min_cllr": "the same after the best calibration of this very list",
    "false_accepts": "FMR of the decision that the calibration was made for",
    "false_rejects": "FNMR of that decision",
    "fnmr": "FNMR where the FMR is at most that",
}


def shown(name: str, measure: Measure) -> str:
    """A figure and its interval: rates in per cent with two digits, costs with three.

    >>> shown("eer", Measure(value=0.0512, low=0.042, high=0.061))
    '5.12 % [4.20, 6.10]'
    >>> shown("min_dcf(0.01)", Measure(value=0.5, low=0.4, high=0.625))
    '0.500 [0.400, 0.625]'
    """
    scale, digits, unit = (100, 2, " %") if name.partition("(")[0] in RATES else (1, 3, "")
    value, low, high = (f"{scale * part:.{digits}f}" for part in (measure.value, measure.low, measure.high))
    return f"{value}{unit} [{low}, {high}]"


def title(name: str) -> str:
    """A figure's name as people write it.

    >>> title("min_dcf(0.01)"), title("eer"), title("eer_hull"), title("fnmr(0.001)")
    ('minDCF(0.01)', 'EER', 'EER (hull)', 'FNMR(0.001)')
    """
    kind, bracket, point = name.partition("(")
    known = {"min_dcf": "minDCF", "act_dcf": "actDCF", "cllr": "Cllr", "min_cllr": "minCllr", "eer_hull": "EER (hull)"}
    known |= {"false_accepts": "false accepts", "false_rejects": "false rejects"}
    return known.get(kind, kind.upper()) + bracket + point


def about(name: str) -> str:
    """What a figure is, in a few words; nothing for one that is not known here."""
    return _ABOUT.get(name.partition("(")[0], "")
