"""What a run minimises: the loss on speakers, that on a teacher, or both."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from acanet.data.feed.batches import NO_CLASS
from acanet.training.distillation import TeacherLoss
from acanet.training.losses import AngularMarginSoftmax


class Losses(NamedTuple):
    """The losses of a batch.

    Attributes:
        total: what is minimised.
        accuracy: the share of crops whose own speaker is nearest; NaN where no crop has a speaker.
        teacher: the loss on the teacher, not weighted; NaN without one.
    """

    total: Tensor
    accuracy: Tensor
    teacher: Tensor


class Objective(nn.Module):
    """The sum of the losses of a run.

    Args:
        speakers: the loss on speakers; None: there is none.
        teacher: the loss on what a teacher says; None: there is none.
        weight: of the latter.
    """

    def __init__(self, speakers: AngularMarginSoftmax | None, teacher: TeacherLoss | None, weight: float) -> None:
        super().__init__()
        self.speakers, self.teacher, self.weight = speakers, teacher, weight

    def forward(self, embeddings: Tensor, classes: Tensor, targets: Tensor | None, margin: float) -> Losses:
        """The losses of a batch.

        Args:
            embeddings: (batch, dim), of any length.
            classes: (batch,) int64; rows of `NO_CLASS` have no loss on speakers.
            targets: (batch, teacher's dim); None without a teacher.
            margin: radians, of the loss on speakers.
        """
        nothing = embeddings.new_full((), float("nan"))
        total, accuracy, teacher = embeddings.new_zeros(()), nothing, nothing
        if self.speakers is not None:
            named = classes != NO_CLASS
            if named.any():
                loss, accuracy = self.speakers(embeddings[named], classes[named], margin)
                # The mean over all rows, so that each counts as much in a batch with few names as in one with many.
                total = total + loss * named.float().mean()
            else:  # every process has to have a gradient for the centres, if only of zeros
                total = total + 0.0 * self.speakers.centres.sum()
        if self.teacher is not None and targets is not None:
            teacher = self.teacher(embeddings, targets)
            total = total + self.weight * teacher
        return Losses(total, accuracy, teacher)
