"""A training step of our ACA-Net beside the authors' layout in plain torch.

Both sides compute the same function (checked against tests/golden/acanet_authors_tiny.npz before anything is timed) on
the same batch of features, under the same loss and optimiser. They take turns, so that noise on the machine meets both.

    python benchmarks/train_step.py                       # beside the authors' layout
    python benchmarks/train_step.py --model acanet-local  # any registered model, alone
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from acanet.models.config import ExtractorConfig
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.parts.mla import AUTHORS, MlaAggregator, sinusoids
from acanet.models.parts.pointwise import PointwiseFrames
from acanet.models.parts.shared_readout import SharedReadout
from acanet.models.registry import build_model, model_names
from acanet.training.losses import AngularMarginSoftmax

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden" / "acanet_authors_tiny.npz"
BATCH, FRAMES, MELS, CLASSES = 32, 198, 80, 1000  # 32 crops of 2 s


class PlainConv(nn.Module):
    """A 1x1 convolution under the name that the authors' weights have."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, time) -> (batch, out_channels, time)."""
        return self.conv(x)


class PlainNorm(nn.Module):
    """A batch norm under the name that the authors' weights have."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels[, time]) -> the same shape."""
        return self.norm(x)


class PlainTdnn(nn.Module):
    """Convolution, ReLU, batch norm."""

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv, self.norm = PlainConv(channels, out_channels), PlainNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, time) -> (batch, out_channels, time)."""
        return self.norm(self.conv(x).relu())


class PlainPositions(nn.Module):
    """The sinusoidal code, as a buffer, along time."""

    pe: Tensor

    def __init__(self, frames: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("pe", sinusoids(torch.arange(frames), dim).unsqueeze(1))

    def forward(self, x: Tensor) -> Tensor:
        """(frames, batch, dim) -> the same shape."""
        return x + self.pe[: len(x)]


class PlainLayer(nn.Module):
    """Attention to normalised keys and values, then an MLP; both residual. Time or latents first, as published."""

    def __init__(self, dim: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.lnorm1, self.lnorm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn = nn.MultiheadAttention(dim, heads)
        self.linear1, self.linear2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.activation, self.dropout = nn.GELU(), nn.Dropout(0.2)

    def forward(self, queries: Tensor, attended: Tensor) -> Tensor:
        """(latents, batch, dim) and (frames or latents, batch, dim) -> (latents, batch, dim)."""
        keys = self.lnorm1(attended)
        heard, _ = self.attn(queries, keys, keys)
        queries = queries + heard
        hidden = self.activation(self.linear1(self.lnorm2(queries)))
        return queries + self.dropout(self.linear2(hidden))


class PlainTransformer(nn.Module):
    """Latent layers whose outputs are concatenated and reduced."""

    def __init__(self, dim: int, layers: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleList(PlainLayer(dim, heads, hidden) for _ in range(layers))
        self.ch_reduction = nn.Conv1d(dim * (layers + 1), dim, 1)

    def forward(self, latents: Tensor) -> Tensor:
        """(latents, batch, dim) -> the same shape."""
        seen = [latents]
        for layer in self.transformer:
            seen.append(layer(seen[-1], seen[-1]))
        stacked = torch.cat(seen, dim=2).permute(1, 2, 0)  # (batch, 4 * dim, latents)
        return self.ch_reduction(stacked).relu().permute(2, 0, 1)


class PlainBlock(nn.Module):
    """Cross-attention layers, then a latent transformer."""

    def __init__(self, dim: int, config: MlaAggregator) -> None:
        super().__init__()
        self.cross_attention = nn.ModuleList(PlainLayer(dim, 1, config.aca_mlp) for _ in range(config.aca_layers))
        self.latent_transformer = PlainTransformer(dim, config.latent_layers, config.heads, config.latent_mlp)

    def forward(self, latents: Tensor, frames: Tensor) -> Tensor:
        """(latents, batch, dim) and (frames, batch, dim) -> (latents, batch, dim)."""
        for layer in self.cross_attention:
            latents = layer(latents, frames)
        return self.latent_transformer(latents)


class PlainAcaNet(nn.Module):
    """ACA-Net from torch's own modules, with the parameters of the authors' code by name."""

    def __init__(self, mels: int, dim: int, frames: int, config: MlaAggregator) -> None:
        super().__init__()
        self.latent = nn.Parameter(torch.empty(config.latents, 1, dim).normal_(std=0.02))
        self.ch_expansion = PlainTdnn(mels, dim)
        self.embed = PlainPositions(frames, dim)
        self.ACA_blocks = nn.ModuleList(PlainBlock(dim, config) for _ in range(config.blocks))
        self.ch_compression = nn.Conv1d(dim, 1, 1)
        self.final_norm = PlainNorm(config.latents)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, mels) -> (batch, latents)."""
        frames = self.embed(self.ch_expansion(features.transpose(1, 2)).permute(2, 0, 1))
        latents = self.latent.expand(-1, len(features), -1)
        for block in self.ACA_blocks:
            latents = block(latents, frames)
        return self.final_norm(self.ch_compression(latents.permute(1, 2, 0)).squeeze(1))


def check_both_equal_golden() -> None:
    """Both layouts, small, with the authors' weights against the authors' output; exits when they differ."""
    with np.load(GOLDEN) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in file}
    weights = {name.removeprefix("weights/"): value for name, value in arrays.items() if "weights/" in name}
    tiny = MlaAggregator(latents=6, heads=4, aca_mlp=20, latent_mlp=24)
    ours = build_model(
        "acanet",
        ExtractorConfig(
            front_end=KaldiFrontEnd(mels=8),
            frames=PointwiseFrames(channels=16),
            aggregator=tiny,
            head=SharedReadout(),
        ),
    )
    AUTHORS.load(ours, weights)
    plain = PlainAcaNet(mels=8, dim=16, frames=64, config=tiny)
    plain.load_state_dict(weights)
    for name, model in (("ours", ours), ("plain", plain)):
        with torch.no_grad():
            error = (model.eval()(arrays["input"]) - arrays["output/positions_time"]).abs().max().item()
        if not error < 1e-5:
            sys.exit(f"{name} differs from the golden tensors by {error:.1e}; nothing was timed")
        print(f"{name} equals the golden tensors (largest difference {error:.1e})")


def training_step(model: nn.Module, dim: int) -> Callable[[], None]:
    """One step on a fixed batch: forward, angular margin softmax, backward, AdamW."""
    loss = AngularMarginSoftmax(dim, CLASSES, scale=30.0)
    optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()])
    features, classes = torch.randn(BATCH, FRAMES, MELS), torch.randint(CLASSES, (BATCH,))
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        loss(model(features), classes, 0.2)[0].backward()
        optimizer.step()

    return step


def gflop(step: Callable[[], None]) -> float:
    """Floating-point operations of a step's matrix products, two for each multiply-add."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):  # fused kernels are not all counted
        step()
    return counter.get_total_flops() / 1e9


def milliseconds(step: Callable[[], None]) -> float:
    """How long one step takes."""
    begin = time.perf_counter()
    step()
    return 1000 * (time.perf_counter() - begin)


def main() -> None:
    """Read the options, check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=model_names(), help="time this registered model alone")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    parser.add_argument("--runs", type=int, default=7, help="steps timed on each side; their median counts")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)

    if options.model:
        model = build_model(options.model)
        steps = {options.model: training_step(model, model.dim)}
    else:
        check_both_equal_golden()
        config = MlaAggregator()
        ours, plain = build_model("acanet"), PlainAcaNet(MELS, 256, FRAMES, config)
        steps = {"acanet": training_step(ours, ours.dim), "authors' layout": training_step(plain, config.latents)}

    print(f"{BATCH} crops x {FRAMES} frames, {options.threads} threads, torch {torch.__version__}, CPU")
    work = {name: gflop(step) for name, step in steps.items()}
    for step in steps.values():
        step()  # warms up
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.runs):
        for name, step in steps.items():
            times[name].append(milliseconds(step))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, values in times.items():
        spread = f"{min(values):.0f} to {max(values):.0f}"
        print(f"{name:16} {medians[name]:7.0f} ms a step (median of {len(values)}, {spread}), {work[name]:.1f} GFLOP")
    if not options.model:
        ratio = medians["authors' layout"] / medians["acanet"]
        print(f"acanet is {ratio:.2f} times as fast as the authors' layout")


if __name__ == "__main__":
    main()
