"""Everything in a network that depends on its parameters alone, worked out once: what is exported.

`fold` makes a copy of a model with the same interface and the same embeddings, that cannot be trained. Modules say what
there is to work out:

- a `constant` of a module is made of its parameters. In training it is worked out whenever it is read, so that
  gradients reach them; `fold` works it out once, and removes what it was made of.
- a method `folded` gives a simpler module in place of this one, such as an affine map for a batch norm.

What has neither stays as it is, so a model of anybody's own can be folded too. All is worked out in double precision.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

T = TypeVar("T", bound=Tensor | tuple[Tensor, ...])


class Constant(Generic[T]):
    """A property of a module that is made of parameters alone: a tensor, or several (see `constant`)."""

    def __init__(self, compute: Callable[[Any], T], made_of: tuple[str, ...]) -> None:
        self._compute, self.made_of = compute, made_of
        self._place = f"constant_{compute.__name__}"
        self.__doc__ = compute.__doc__

    def __get__(self, module: nn.Module, owner: type[nn.Module] | None = None) -> T:
        kept = module._modules.get(self._place)
        return self._compute(module) if kept is None else kept()

    def keep(self, module: nn.Module, value: T) -> None:
        """Give the constant of a module this value from now on."""
        module.add_module(self._place, _Kept(value))


class _Kept(nn.Module):
    """A constant that is worked out; calling it gives its value."""

    def __init__(self, value: Tensor | tuple[Tensor, ...]) -> None:
        super().__init__()
        self.several = isinstance(value, tuple)
        self.values = nn.ParameterList(map(_parameter, value if isinstance(value, tuple) else (value,)))

    def forward(self) -> Any:
        return tuple(self.values) if self.several else self.values[0]


def constant(*made_of: str) -> Callable[[Callable[[Any], T]], Constant[T]]:
    """A decorator of a module's method: a property that is made of parameters alone.

    Args:
        made_of: attributes of the module that nothing else in it needs, and that go once the constant is worked out.
    """
    return lambda compute: Constant(compute, made_of)


def fold(model: nn.Module) -> Any:
    """A copy of a model in evaluation mode, with the same interface and the same embeddings, that cannot be trained."""
    folded = copy.deepcopy(model).eval().requires_grad_(False).double()
    found = [(module, each, each.__get__(module)) for module in folded.modules() for each in _constants(type(module))]
    for module, each, value in found:
        each.keep(module, value)
    for module, each, _ in found:
        for name in each.made_of:
            if hasattr(module, name):  # several constants may be made of it
                delattr(module, name)
    return folded_form(folded).float()


def folded_form(module: nn.Module) -> nn.Module:
    """What stands in place of a module, or the module with such forms of those inside of it."""
    if hasattr(module, "folded"):
        return module.folded()  # type: ignore[operator]
    for name, child in module.named_children():
        setattr(module, name, folded_form(child))
    return module


def _constants(kind: type) -> Iterator[Constant[Any]]:
    for base in kind.__mro__:
        yield from (value for value in vars(base).values() if isinstance(value, Constant))


def _parameter(value: Tensor) -> nn.Parameter:
    return nn.Parameter(value.detach().contiguous(), requires_grad=False)


class Affine(nn.Module):
    """An affine map of each channel: x * scale + shift."""

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale, self.shift = _parameter(scale), _parameter(shift)

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        return x * self.scale + self.shift


class Product(nn.Module):
    """An affine map of all channels: x @ matrix + offset."""

    def __init__(self, matrix: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.matrix, self.offset = _parameter(matrix), _parameter(offset)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        return x @ self.matrix + self.offset


class SideBySide(nn.Module):
    """A module for each of several equal shares of the inputs."""

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        super().__init__()
        self.each = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        shares = x.chunk(len(self.each), dim=-1)
        return torch.cat([module(share) for module, share in zip(self.each, shares, strict=True)], dim=-1)


def side_by_side(modules: Sequence[nn.Module]) -> nn.Module:
    """`SideBySide`, or the module itself where it is the only one."""
    return modules[0] if len(modules) == 1 else SideBySide(modules)


class Normalise(nn.Module):
    """`normalised`, as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., channels) -> the same shape."""
        return normalised(x)


def normalised(x: Tensor) -> Tensor:
    """A layer norm without gain and offset: (..., channels) of zero mean and unit variance over the channels."""
    return functional.layer_norm(x, x.shape[-1:])


def scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """What a batch norm does in evaluation: (channels,) each."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = (norm.running_var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -norm.running_mean * scale
    return scale, shift if norm.bias is None else shift + norm.bias


def after_norm(norm: nn.Module, linear: nn.Linear) -> tuple[Tensor, Tensor]:
    """Matrix and offset of a linear layer over `normalised` inputs, with the gain and offset of the layer norm in it.

    Without a layer norm, of the linear layer alone.
    """
    offset = bias_of(linear)
    if not isinstance(norm, nn.LayerNorm):
        return linear.weight.T, offset
    return (linear.weight * norm.weight).T, linear.weight @ norm.bias + offset


def bias_of(linear: nn.Linear) -> Tensor:
    """The bias of a linear layer, (outputs,), zero where there is none."""
    return linear.weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias
