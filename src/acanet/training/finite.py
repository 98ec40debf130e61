"""Whether a run is still one: its loss and gradient, its weights and embeddings are finite numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from acanet.errors import Diverged


def require_finite_step(step: int, loss: Tensor, gradient: Tensor) -> None:
    """See that a step leads somewhere, before it is made.

    Args:
        step: its number, from 1.
        loss: of its batch, (); not finite where the embeddings are not.
        gradient: norm of all gradients, ().

    Raises:
        Diverged: when one of them is not finite.
    """
    found = torch.stack([loss.detach().float(), gradient.detach().float()]).isfinite().tolist()
    if not all(found):
        raise Diverged(step, "the gradient" if found[0] else "the loss")


def require_finite_weights(step: int, *modules: nn.Module) -> None:
    """See that the weights after a step, with the statistics that belong to them, can be used.

    Raises:
        Diverged: naming one that is not finite.
    """
    for module in modules:
        name = not_finite(module.state_dict())
        if name is not None:
            raise Diverged(step, name)


def require_finite_embeddings(step: int, embeddings: NDArray[np.float32]) -> None:
    """See that the embeddings (rows, dim) that a network gives after a step have a direction.

    Raises:
        Diverged: when one does not.
    """
    lengths = np.linalg.norm(embeddings, axis=1)
    bad = int((~(np.isfinite(lengths) & (lengths > 0))).sum())
    if bad:
        raise Diverged(step, f"{bad} of {len(lengths)} embeddings (all zero, or with numbers that are not)")


def not_finite(state: Mapping[str, Any]) -> str | None:
    """The name of the first tensor that holds a number that is not finite; None without one."""
    values = {name: value for name, value in state.items() if isinstance(value, Tensor) and value.is_floating_point()}
    if not values:
        return None
    largest = torch.stack([value.detach().float().norm(math.inf) for value in values.values()])
    return next((name for name, fine in zip(values, largest.isfinite().tolist(), strict=True) if not fine), None)
