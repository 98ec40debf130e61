"""The additive angular margin softmax, in float32 whatever the network runs in."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class AngularMarginSoftmax(nn.Module):
    """The cross entropy of scale * cos(theta), where the true class has to win by a margin on the angle.

    The true class's logit is cos(theta + m). Beyond theta + m > pi, where that would rise again, it is continued as
    cos(theta) - m sin(m). With sub-centres, a class is as near as its nearest centre. Sources: Deng et al., "ArcFace",
    CVPR 2019, equation 3; Deng et al., "Sub-center ArcFace", ECCV 2020, section 3.2. Each branch of a network has a
    loss on its share of the embedding, with its share of the centres; what counts is their mean.
    """

    def __init__(self, dim: int, classes: int, *, scale: float, sub_centres: int = 1, branches: int = 1) -> None:
        super().__init__()
        self.scale, self.sub_centres, self.branches = scale, sub_centres, branches
        self.centres = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes * sub_centres, dim)))

    def forward(self, embeddings: Tensor, classes: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """The loss of embeddings, and how many of them are right.

        Args:
            embeddings: (batch, dim), of any length.
            classes: (batch,) int64.
            margin: radians.

        Returns:
            The mean loss, and the share of rows (without margin) whose own class is nearest, in the mean of branches.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            cosine = self._by_branch(embeddings) @ self._by_branch(self.centres).transpose(1, 2)
            cosine = cosine.flatten(0, 1).unflatten(1, (-1, self.sub_centres)).amax(dim=2)
            classes = classes.repeat(self.branches)  # cosine is (branches * batch, classes)
            own = cosine.gather(1, classes.unsqueeze(1))
            logits = cosine.scatter(1, classes.unsqueeze(1), with_margin(own, margin))
            right = (cosine.argmax(dim=1) == classes).float().mean()
            return functional.cross_entropy(self.scale * logits, classes), right

    def _by_branch(self, vectors: Tensor) -> Tensor:
        """(rows, dim) -> (branches, rows, dim / branches), of unit length."""
        return functional.normalize(vectors.float().unflatten(1, (self.branches, -1)).transpose(0, 1), dim=2)


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    """The cosine with its margin: cos(theta + m) while theta + m <= pi, cos(theta) - m sin(m) beyond."""
    sine = (1.0 - cosine.square()).clamp(min=1e-7).sqrt()
    moved = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > math.cos(math.pi - margin), moved, cosine - margin * math.sin(margin))
