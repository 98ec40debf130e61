"""The loss on a teacher against numbers worked by hand, and how it joins the loss on speakers."""

from __future__ import annotations

import math

import pytest
import torch

from acanet.training.distillation import TeacherLoss
from acanet.training.losses import AngularMarginSoftmax
from acanet.training.objective import Objective


def at(*degrees):
    """Vectors in the plane at these angles, of several lengths, which must not count."""
    angles = [math.radians(angle) for angle in degrees]
    return torch.tensor([[(i + 1) * math.cos(angle), (i + 1) * math.sin(angle)] for i, angle in enumerate(angles)])


def turning(degrees):
    """A loss whose layer turns the student's plane by an angle."""
    loss = TeacherLoss(2, 2, "cosine")
    angle = math.radians(degrees)
    with torch.no_grad():
        loss.to_teacher.weight.copy_(
            torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        )
    return loss


def cosine(degrees):
    return math.cos(math.radians(degrees))


def test_cosine_is_that_of_the_turned_embedding_and_the_target():
    loss = turning(30)
    assert loss(at(0, 40), at(30, 70)).item() == pytest.approx(0.0, abs=1e-6)
    assert loss(at(0, 40), at(90, 70)).item() == pytest.approx((1 - cosine(60)) / 2, abs=1e-6)


def test_similarity_is_the_squared_difference_of_the_cosines_of_pairs():
    loss = TeacherLoss(2, 2, "similarity")
    assert loss.to_teacher is None
    assert loss(at(10, 70, 100), at(0, 60, 90)).item() == pytest.approx(0.0, abs=1e-6)  # turned as a whole
    pairs = [(60, 60), (90, 30), (30, 30)]  # the angles between 0, 60, 90 and between 0, 60, 30
    expected = sum((cosine(one) - cosine(other)) ** 2 for one, other in pairs) / 3
    assert loss(at(0, 60, 90), at(0, 60, 30)).item() == pytest.approx(expected, abs=1e-6)


def test_both_is_their_sum():
    both, alone = TeacherLoss(2, 2, "both"), TeacherLoss(2, 2, "similarity")
    like = TeacherLoss(2, 2, "cosine")
    like.load_state_dict(both.state_dict())
    student, teacher = at(0, 60, 90), at(0, 60, 30)
    expected = alone(student, teacher) + like(student, teacher)
    assert both(student, teacher).item() == pytest.approx(expected.item(), abs=1e-6)


def test_direct_is_the_cosine_of_the_embeddings_as_they_are():
    loss = TeacherLoss(2, 2, "direct")
    assert not list(loss.parameters())
    assert loss(at(10, 70), at(10, 70)).item() == pytest.approx(0.0, abs=1e-6)
    assert loss(at(10, 70), at(70, 70)).item() == pytest.approx((1 - cosine(60)) / 2, abs=1e-6)


def test_the_teacher_may_have_another_dimension():
    loss = TeacherLoss(2, 5, "both")
    student = at(0, 60, 90).requires_grad_()
    loss(student, torch.randn(3, 5)).backward()
    assert student.grad.abs().sum() > 0
    assert loss.to_teacher.weight.shape == (5, 2)


def speakers():
    loss = AngularMarginSoftmax(2, 2, scale=10.0)
    with torch.no_grad():
        loss.centres.copy_(at(0, 90))
    return loss


def test_what_is_minimised_is_the_loss_on_speakers_and_the_weighted_one_on_the_teacher():
    embeddings, targets, classes = at(10, 80), at(40, 110), torch.tensor([0, 1])
    losses = Objective(speakers(), turning(30), 3.0)(embeddings, classes, at(40, 140), 0.0)
    labels, right = speakers()(embeddings, classes, 0.0)
    taught = turning(30)(embeddings, at(40, 140)).item()
    assert losses.total.item() == pytest.approx(labels.item() + 3 * taught, abs=1e-6)
    assert losses.accuracy == right == 1.0
    assert losses.teacher.item() == pytest.approx(taught, abs=1e-6)
    assert Objective(None, turning(30), 3.0)(embeddings, classes, targets, 0.0).accuracy.isnan()
    alone = Objective(speakers(), None, 0.0)(embeddings, classes, None, 0.0)
    assert alone.total.item() == pytest.approx(labels.item(), abs=1e-6)
    assert alone.teacher.isnan()


def test_crops_of_nobody_have_no_loss_on_speakers():
    """A crop with a name counts as much, whoever is beside it."""
    embeddings, targets = at(10, 80, 50, 20), at(10, 80, 50, 20)
    named = speakers()(embeddings[:2], torch.tensor([0, 1]), 0.2)[0].item()
    objective = Objective(speakers(), turning(0), 1.0)
    losses = objective(embeddings, torch.tensor([0, 1, -1, -1]), targets, 0.2)
    assert losses.total.item() == pytest.approx(named / 2, abs=1e-6)
    assert losses.accuracy == 1.0
    nobody = objective(embeddings, torch.full((4,), -1), targets, 0.2)
    assert nobody.total.item() == pytest.approx(0.0, abs=1e-6)
    assert nobody.accuracy.isnan()
    nobody.total.backward()
    assert not objective.speakers.centres.grad.any()
