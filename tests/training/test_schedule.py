"""Rates, margins and averages of a run, worked by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from acanet.training.average import averaged
from acanet.training.recipe import LastCheckpoints, MovingAverage, Recipe
from acanet.training.schedule import is_averaged, margin_at, rate_at

RATES = {"rate": 1.0, "final_rate": 0.2, "warm_up": 0.1}
LARGE = {"steps": 20, "margin": 0.5, "rate": 0.4}


def recipe(**keys):
    return Recipe.parse({"data": {"train": ["train.jsonl"]}, **keys}, "the test's recipe")


def test_rate_by_hand():
    config = recipe(steps=100, optimizer=RATES)
    rates = [rate_at(step, config) for step in range(101)]
    assert rates[:10] == pytest.approx([step / 11 for step in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.6)  # half of the cosine: half-way between the two rates
    assert rates[100] == pytest.approx(0.2)
    assert all(a > b for a, b in pairwise(rates[10:]))


@given(st.integers(1, 500), st.floats(0, 1))
def test_rate_rises_then_falls_and_stays_between_its_limits(steps, warm_up):
    config = recipe(steps=steps, optimizer={"rate": 1e-3, "final_rate": 1e-6, "warm_up": warm_up})
    rates = [rate_at(step, config) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert min(rates) >= 1e-6
    assert max(rates) <= 1e-3


def test_the_large_margin_stage_has_a_rate_and_a_margin_of_its_own():
    config = recipe(steps=100, optimizer=RATES, loss={"margin": 0.2}, large_margin=LARGE)
    assert config.all_steps == 120
    assert [rate_at(step, config) for step in (55, 100, 110)] == pytest.approx([0.6, 0.4, 0.3])
    assert [margin_at(step, config) for step in (99, 100, 119)] == [0.2, 0.5, 0.5]


@pytest.mark.parametrize(
    ("rise", "steps", "at", "margins"),
    [
        ((0.1, 0.5), 100, (0, 10, 20, 30, 50, 99), [0.0, 0.0, 0.05, 0.1, 0.2, 0.2]),
        ((0.0, 0.0), 10, (0, 1, 9), [0.2, 0.2, 0.2]),
        ((0.5, 0.5), 4, (0, 1, 2, 3), [0.0, 0.0, 0.2, 0.2]),
    ],
)
def test_margin_by_hand(rise, steps, at, margins):
    config = recipe(steps=steps, loss={"margin": 0.2, "margin_rise": rise})
    assert [margin_at(step, config) for step in at] == pytest.approx(margins)


def test_the_last_checkpoints_are_counted_from_the_end_of_both_stages():
    config = recipe(steps=10, large_margin=LARGE | {"steps": 7}, average={"kind": "last", "checkpoints": 3, "every": 4})
    assert [step for step in range(1, 18) if is_averaged(step, config)] == [9, 13, 17]


def test_a_moving_average_takes_every_step():
    assert all(is_averaged(step, recipe(steps=5, average={"kind": "ema"})) for step in range(1, 6))
    assert not any(is_averaged(step, recipe(steps=5)) for step in range(1, 6))


def average_of(values, config):
    """The average of a weight, of a batch-norm statistic, and a counter, that took these values."""
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = averaged(model, config)
    for count, value in enumerate(values):
        with torch.no_grad():
            model[0].weight.fill_(value)
            model[1].running_var.fill_(10 * value)
            model[1].num_batches_tracked.fill_(count)
        average.update_parameters(model)
    module = average.module
    return module[0].weight.item(), module[1].running_var.item(), module[1].num_batches_tracked.item()


def test_the_mean_of_checkpoints_by_hand():
    assert average_of([3.0, 5.0, 10.0], LastCheckpoints())[:2] == pytest.approx((6.0, 60.0))


def test_a_moving_average_by_hand():
    # shares of the new value: all, then 1 - 2/11, then 1 - min(0.2, 3/12)
    second = 3.0 + (1 - 2 / 11) * (5.0 - 3.0)
    third = second + 0.8 * (10.0 - second)
    weight, variance, counter = average_of([3.0, 5.0, 10.0], MovingAverage(decay=0.2))
    assert (weight, variance, counter) == (pytest.approx(third), pytest.approx(10 * third), 2)


def test_a_moving_average_in_the_long_run():
    weight, *_ = average_of([1.0] * 500 + [2.0] * 20, MovingAverage(decay=0.95))
    assert weight == pytest.approx(2.0 - 0.95**20)
