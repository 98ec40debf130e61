from __future__ import annotations

import doctest
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acanet.errors import AcanetError
from acanet.evaluation.figures import expect
from acanet.evaluation.figures.expect import OPERATORS, Expectation, parse_expectation
from acanet.evaluation.figures.words import RATES
from acanet.scoring.measure import Measure

FIGURES = {
    "eer": Measure(value=0.05, low=0.04, high=0.07),
    "min_dcf(0.01)": Measure(value=0.5, low=0.4, high=0.6),
    "min_dcf(0.01,10,1)": Measure(value=0.3, low=0.2, high=0.4),
    "auc": Measure(value=0.99, low=0.98, high=1.0),
}


def test_the_example_in_the_docstring() -> None:
    result = doctest.testmod(expect)
    assert result.attempted
    assert not result.failed


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("eer<=0.06", True),
        ("eer<=0.05", True),
        ("eer<0.05", False),
        ("eer>0.05", False),
        ("eer>=0.05", True),
        (" eer <= 4e-2 ", False),
        ("min_dcf(0.01)<=0.7", True),
        ("min_dcf(0.01,10,1) > .35", False),
        ("auc>=0.99", True),
        ("auc > -1", True),
    ],
)
def test_a_figure_keeps_to_its_bound_or_not(text: str, holds: bool) -> None:
    assert parse_expectation(text).holds(FIGURES) is holds


def test_it_is_told_in_one_sentence() -> None:
    assert parse_expectation("eer<=0.06").told(FIGURES) == "eer is 0.05 [0.04, 0.07], as expected: <= 0.06"
    assert parse_expectation("eer > 0.5").told(FIGURES) == "eer is 0.05 [0.04, 0.07], not as expected: > 0.5"


@given(
    st.sampled_from(["eer", "cllr", "min_dcf(0.01)", "act_dcf(0.05,1,10)", "fnmr(0.0001)"]),
    st.sampled_from(sorted(OPERATORS)),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", " ", "  "]),
)
def test_what_is_written_is_read(figure: str, operator: str, bound: float, space: str) -> None:
    if figure.partition("(")[0] in RATES:
        bound = abs(math.fmod(bound, 1))
    expectation = Expectation(figure, operator, bound)
    assert parse_expectation(str(expectation)) == expectation
    assert parse_expectation(f"{space}{figure}{space}{operator}{space}{bound!r}{space}") == expectation


@given(st.text(alphabet="er<>=.01() %", max_size=9))
def test_any_text_is_read_or_refused_by_a_typed_error(text: str) -> None:
    try:
        expectation = parse_expectation(text)
    except AcanetError:
        with pytest.raises(AcanetError, match=f"{re.escape(repr(text))}.* such as 'eer<=0.06'"):
            parse_expectation(text)
    else:
        assert parse_expectation(str(expectation)) == expectation


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "cannot read"),
        ("eer", "cannot read"),
        ("eer=0.06", "cannot read"),
        ("eer==0.06", "cannot read"),
        ("eer=<0.06", "cannot read"),
        ("0.01<eer<0.06", "cannot read"),
        ("<=0.06", "cannot read"),
        ("eer<=", "cannot read"),
        ("eer<=six", "'six' in the expectation 'eer<=six' is not a finite number"),
        ("eer<=nan", "not a finite number"),
        ("eer<inf", "not a finite number"),
        ("eer<=6%", "rates are shares: 6 % is 0.06"),
    ],
)
def test_mistakes_are_named(text: str, words: str) -> None:
    with pytest.raises(AcanetError, match=words):
        parse_expectation(text)


def test_an_unknown_figure_is_answered_with_the_nearest() -> None:
    with pytest.raises(AcanetError, match=r"no figure 'err' \(did you mean 'eer'\?\); known are eer, min_dcf"):
        parse_expectation("err<=0.06").holds(FIGURES)
    with pytest.raises(AcanetError, match=r"did you mean 'min_dcf\(0\.01\)'"):
        parse_expectation("min_dcf(0.1)<=0.06").told(FIGURES)
    with pytest.raises(AcanetError, match="no figure 'xyz'; known are eer"):
        parse_expectation("xyz<=0.06").holds(FIGURES)
