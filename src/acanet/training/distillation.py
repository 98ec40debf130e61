"""The loss of a student on what a teacher says of the same speech, in float32 whatever the network runs in."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from acanet.training.recipe import TeacherKind


class TeacherLoss(nn.Module):
    """The distance of a student's embeddings from those of its teacher.

    `cosine` is one minus the cosine between the teacher's embedding and what a linear layer, which only training knows,
    makes of the student's. `similarity` is the mean squared difference between the cosines of all pairs of crops, as
    the student and as the teacher have them (Tung, Mori, "Similarity-preserving knowledge distillation", ICCV 2019,
    with cosines in place of rows of unit length): it wants no layer, and keeps strangers of the student as far from
    each other as those of the teacher are. `both` is their sum. `direct` is one minus the cosine between the embeddings
    as they are, for a student that starts in the space of its teacher.

    Args:
        dim: of the student's embeddings.
        teacher_dim: of the teacher's; for `direct` it is `dim`.
        kind: which.
    """

    def __init__(self, dim: int, teacher_dim: int, kind: TeacherKind) -> None:
        super().__init__()
        self.to_teacher: nn.Module | None = None
        if kind == "direct":
            self.to_teacher = nn.Identity()
        elif kind != "similarity":
            self.to_teacher = nn.Linear(dim, teacher_dim, bias=False)
        self.similarity = kind in ("similarity", "both")

    def forward(self, embeddings: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a batch.

        Args:
            embeddings: (batch, dim) of the student, of any length.
            targets: (batch, teacher_dim) of the teacher, of any length.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings, targets = embeddings.float(), targets.float()
            loss = embeddings.new_zeros(())
            if self.to_teacher is not None:
                loss = loss + (1.0 - functional.cosine_similarity(self.to_teacher(embeddings), targets)).mean()
            if self.similarity:
                loss = loss + _difference_of_pairs(_cosines(embeddings), _cosines(targets))
            return loss


def _cosines(vectors: Tensor) -> Tensor:
    """(rows, dim) -> (rows, rows)."""
    unit = functional.normalize(vectors, dim=1)
    return unit @ unit.T


def _difference_of_pairs(one: Tensor, other: Tensor) -> Tensor:
    """The mean squared difference of two matrices (rows, rows) beside their diagonals."""
    rows = len(one)
    return (one - other).square().sum() / max(rows * (rows - 1), 1)
