"""Additive angular margin softmax, in float32 whatever the network runs in."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class AngularMarginSoftmax(nn.Module):
    """Cross entropy of scale * cos(theta), where the true class has to win by a margin on the angle.

    The true class's logit is cos(theta + m). Beyond theta + m > pi, where that would rise again, it is continued as
    cos(theta) - m sin(m). With sub-centres, a class is as near as its nearest centre. Sources: Deng et al., "ArcFace",
    CVPR 2019, equation 3; Deng et al., "Sub-center ArcFace", ECCV 2020, section 3.2.
    """

    def __init__(self, dim: int, classes: int, *, scale: float, sub_centres: int = 1) -> None:
        super().__init__()
        self.scale, self.sub_centres = scale, sub_centres
        self.centres = nn.Parameter(nn.init.xavier_normal_(torch.empty(classes * sub_centres, dim)))

    def forward(self, embeddings: Tensor, classes: Tensor, margin: float) -> tuple[Tensor, Tensor]:
        """Loss and how many are right.

        Args:
            embeddings: (batch, dim), of any length.
            classes: (batch,) int64.
            margin: radians.

        Returns:
            The mean loss, and the share of rows (without margin) whose own class is nearest.
        """
        with torch.autocast(embeddings.device.type, enabled=False):
            embeddings = functional.normalize(embeddings.float())
            cosine = embeddings @ functional.normalize(self.centres.float()).T
            cosine = cosine.unflatten(1, (-1, self.sub_centres)).amax(dim=2)  # (batch, classes)
            own = cosine.gather(1, classes.unsqueeze(1))
            logits = cosine.scatter(1, classes.unsqueeze(1), with_margin(own, margin))
            right = (cosine.argmax(dim=1) == classes).float().mean()
            return functional.cross_entropy(self.scale * logits, classes), right


def with_margin(cosine: Tensor, margin: float) -> Tensor:
    """cos(theta + m) while theta + m <= pi, cos(theta) - m sin(m) beyond."""
    sine = (1.0 - cosine.square()).clamp(min=1e-7).sqrt()
    moved = cosine * math.cos(margin) - sine * math.sin(margin)
    return torch.where(cosine > math.cos(math.pi - margin), moved, cosine - margin * math.sin(margin))
