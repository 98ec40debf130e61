"""The same functions with everything constant worked out beforehand: what is exported.

`fold` replaces the parts of a model by forms that know nothing of training. Batch norms and the gains and offsets of
layer norms go into the matrices beside them; the key and value matrices of an ACA layer become two; positions are one
sine. A part that has no such form stays as it is, so a model of anybody's own can be folded too. Constants are worked
out in double precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from torch import nn

from acanet.models.folded.frames import FoldedConvolution, FoldedFrontEnd, FoldedSpectral, folded_picture_conv
from acanet.models.folded.heads import FoldedOwnReadout, FoldedSharedReadout, FoldedStatistics, folded_linear_head
from acanet.models.folded.latents import FoldedAcaStatistics, FoldedLatentLayer, FoldedMla
from acanet.models.folded.parts import affine_of
from acanet.models.frames import Convolution, Spectral
from acanet.models.frontend import FrontEnd
from acanet.models.heads import LinearHeadModule, OwnReadoutHead, SharedReadoutHead
from acanet.models.latents import AcaStatistics, LatentLayer, Mla
from acanet.models.layers import FrameNorm, PictureConv
from acanet.models.pooling import Statistics


def fold(model: nn.Module) -> Any:
    """A copy of a model in evaluation mode, with the same interface and the same embeddings, that cannot be trained."""
    folded = copy.deepcopy(model).eval().requires_grad_(False)
    return _folded(folded)


def _folded(module: nn.Module) -> nn.Module:
    form = _FORMS.get(type(module))
    if form is not None:
        return form(module)
    for name, child in module.named_children():
        setattr(module, name, _folded(child))
    return module


_FORMS: dict[type, Callable[[Any], nn.Module]] = {
    FrontEnd: FoldedFrontEnd,
    FrameNorm: affine_of,
    Convolution: FoldedConvolution,
    Spectral: lambda plain: FoldedSpectral(plain, _folded(plain.stages)),
    PictureConv: folded_picture_conv,
    LatentLayer: FoldedLatentLayer,
    Mla: FoldedMla,
    AcaStatistics: FoldedAcaStatistics,
    Statistics: FoldedStatistics,
    SharedReadoutHead: FoldedSharedReadout,
    OwnReadoutHead: FoldedOwnReadout,
    LinearHeadModule: folded_linear_head,
}
