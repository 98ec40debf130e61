"""Angular margin softmax against numbers worked by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from acanet.training.losses import AngularMarginSoftmax, with_margin


def two_dimensional(centres, *, scale, sub_centres=1):
    """A loss whose class centres stand at these angles (degrees), with lengths that must not matter."""
    loss = AngularMarginSoftmax(2, len(centres) // sub_centres, scale=scale, sub_centres=sub_centres)
    with torch.no_grad():
        for i, degrees in enumerate(centres):
            loss.centres[i] = (i + 0.5) * at(degrees)
    return loss


def at(degrees):
    angle = math.radians(degrees)
    return torch.tensor([math.cos(angle), math.sin(angle)])


def cosine(degrees):
    return math.cos(math.radians(degrees))


def test_value_by_hand():
    loss = two_dimensional([0, 90], scale=10.0)
    value, right = loss(7 * at(30).unsqueeze(0), torch.tensor([0]), margin=math.radians(15))
    own, other = 10 * cosine(30 + 15), 10 * cosine(60)
    assert value.item() == pytest.approx(math.log(1 + math.exp(other - own)), abs=1e-5)
    assert right.item() == 1.0


def test_right_is_counted_without_the_margin():
    loss = two_dimensional([0, 90], scale=10.0)
    embeddings = torch.stack([at(40), at(50), at(80), at(10)])
    _, right = loss(embeddings, torch.tensor([0, 0, 1, 1]), margin=math.radians(30))
    assert right.item() == 0.5


def test_loss_is_the_mean_over_rows():
    loss, rows, classes = two_dimensional([0, 90], scale=4.0), torch.stack([at(20), at(70)]), torch.tensor([0, 0])
    each = [loss(rows[i : i + 1], classes[i : i + 1], 0.2)[0].item() for i in range(2)]
    assert loss(rows, classes, 0.2)[0].item() == pytest.approx(sum(each) / 2, abs=1e-6)


def test_without_margin_it_is_a_scaled_softmax_of_cosines():
    torch.manual_seed(0)
    loss = AngularMarginSoftmax(5, 7, scale=30.0)
    embeddings, classes = torch.randn(4, 5), torch.tensor([0, 6, 3, 3])
    cosines = torch.nn.functional.cosine_similarity(embeddings.unsqueeze(1), loss.centres.unsqueeze(0), dim=2)
    expected = torch.nn.functional.cross_entropy(30.0 * cosines, classes)
    assert loss(embeddings, classes, margin=0.0)[0].item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_class_is_as_near_as_its_nearest_sub_centre():
    one, two = two_dimensional([80, 200], scale=10.0), two_dimensional([170, 80, 200, 290], scale=10.0, sub_centres=2)
    x, classes = at(90).unsqueeze(0), torch.tensor([0])
    assert two(x, classes, 0.2)[0].item() == pytest.approx(one(x, classes, 0.2)[0].item(), abs=1e-6)
    value, _ = two(at(285).unsqueeze(0), torch.tensor([1]), margin=0.0)
    assert value.item() == pytest.approx(math.log(1 + math.exp(10 * (cosine(115) - cosine(5)))), abs=1e-6)


def test_each_branch_has_a_loss_on_its_share():
    torch.manual_seed(1)
    both = AngularMarginSoftmax(6, 5, scale=20.0, sub_centres=2, branches=2)
    rows, classes = torch.randn(4, 6), torch.tensor([0, 4, 2, 2])
    losses, rights = [], []
    for share in range(2):
        alone = AngularMarginSoftmax(3, 5, scale=20.0, sub_centres=2)
        alone.load_state_dict({"centres": both.centres.detach().chunk(2, dim=1)[share]})
        loss, right = alone(rows.chunk(2, dim=1)[share], classes, margin=0.2)
        losses.append(loss.item())
        rights.append(right.item())
    loss, right = both(rows, classes, margin=0.2)
    assert loss.item() == pytest.approx(sum(losses) / 2, abs=1e-5)
    assert right.item() == pytest.approx(sum(rights) / 2)


@given(st.floats(0.0, 1.5))
def test_the_margins_logit_falls_as_the_angle_grows(margin):
    theta = torch.linspace(0.0, math.pi, 2001, dtype=torch.float64)
    assert (with_margin(theta.cos(), margin).diff() < 1e-12).all()


@pytest.mark.parametrize("margin", [0.0, 0.2, 0.5])
def test_the_margin_adds_to_the_angle_until_pi_then_continues(margin):
    inside = torch.linspace(0.001, math.pi - margin - 0.001, 50, dtype=torch.float64)
    torch.testing.assert_close(with_margin(inside.cos(), margin), (inside + margin).cos(), atol=1e-6, rtol=0)
    beyond = torch.linspace(math.pi - margin + 1e-6, math.pi, 50, dtype=torch.float64)
    expected = beyond.cos() - margin * math.sin(margin)
    torch.testing.assert_close(with_margin(beyond.cos(), margin), expected, atol=1e-9, rtol=0)


def test_gradient_is_finite_where_the_sine_vanishes():
    cosines = torch.tensor([1.0, -1.0, 0.0], requires_grad=True)
    with_margin(cosines, 0.2).sum().backward()
    assert cosines.grad.isfinite().all()
    assert (cosines.grad > 0).all()


def test_stays_in_float32_under_autocast():
    torch.manual_seed(1)
    loss = AngularMarginSoftmax(64, 500, scale=30.0)
    embeddings, classes = torch.randn(8, 64), torch.arange(8)
    plain, _ = loss(embeddings, classes, 0.2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, _ = loss(embeddings, classes, 0.2)
        half, _ = loss(embeddings.bfloat16(), classes, 0.2)
    assert mixed.dtype == half.dtype == torch.float32
    assert mixed.item() == plain.item()
    assert half.item() == pytest.approx(plain.item(), rel=0.01)


def test_training_on_it_separates_classes():
    torch.manual_seed(2)
    loss, classes = AngularMarginSoftmax(4, 6, scale=10.0), torch.arange(6)
    embeddings = torch.nn.Parameter(torch.randn(6, 4))
    optimizer = torch.optim.Adam([embeddings, *loss.parameters()], lr=0.1)
    first, _ = loss(embeddings, classes, 0.2)
    for _ in range(100):
        optimizer.zero_grad()
        value, right = loss(embeddings, classes, 0.2)
        value.backward()
        optimizer.step()
    assert value.item() < 0.1 * first.item()
    assert right.item() == 1.0
