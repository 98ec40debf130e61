"""What embeddings over time cost, and whether sharing the features among windows would save any of it.

Two ways to embed windows that overlap, in turns, on one thread: the whole network on batches of windows, as
`Encoder.embed_windows` does, and by the stages of the bundle, where log-mel features are computed once for the
recording and frames, passes and read-out for each window (stages take one recording at a time). Both must give the same
embeddings to 1e-4, or nothing is timed. Finding the speech takes turns with them. Then `embed_windows` of a long
file, stereo flac, in a process of its own: seconds, and its peak of memory.

    python benchmarks/windows.py                         # synthetic voices
    python benchmarks/windows.py --recording talk.wav --window 3 --hop 0.5
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from acanet import Encoder
from acanet.audio.blocks import Waveform
from acanet.audio.recording import load
from acanet.audio.resample import resample
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.runtime.bundle import Bundle
from acanet.runtime.detector import find_speech
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.onnx import OnnxNetwork
from acanet.runtime.windows import cover

Floats = NDArray[np.float32]


class Shared:
    """Windows by the stages of a bundle: features once for all."""

    def __init__(self, network: OnnxNetwork, front_end: FrontEndConfig) -> None:
        self.network, self.front_end = network, front_end
        pieces = network.bundle.graphs.pieces
        if pieces is None:
            sys.exit("the model has no stages; name another with --model")
        self.passes = pieces.passes

    def embed(self, waveform: Waveform, spans: list[tuple[int, int]]) -> Floats:
        """(windows, dim) of windows that begin on a frame of features."""
        (features,) = self.network.run("features", waveforms=waveform[None])
        window, hop = self.front_end.window, self.front_end.hop
        frames = (spans[0][1] - spans[0][0] - window) // hop + 1
        return np.concatenate([self._one(features[:, start // hop : start // hop + frames]) for start, _ in spans])

    def _one(self, features: Floats) -> Floats:
        run = self.network.run
        (frames,) = run("frames", features=features, mean=features.mean(axis=(0, 1)), start=np.array(0))
        latents, queries = run("latents-0")
        for number in range(1, self.passes + 1):
            _, total, *sums = run("pass", queries=queries, frames=frames)
            means = dict(zip(("mean", "square"), (each / total for each in sums), strict=False))
            latents, *more = run(f"latents-{number}", before=latents, **means)
            queries = more[0] if more else None
        return run("readout", latents=latents)[0]


def seconds(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def voices(length: int, rate: int) -> Waveform:
    """Synthetic voices, one after the other, (length,)."""
    turns = [synthesise(SyntheticVoice.draw(0, number), 5.0, [0, number]) for number in range(12)]
    return np.resize(np.concatenate(turns), length) if rate == 16000 else sys.exit("a model at 16 kHz is needed")


LONG = """
import re, sys, time
from acanet import Encoder
encoder, begin = Encoder.load(sys.argv[1]), time.perf_counter()
windows = encoder.embed_windows(sys.argv[2], float(sys.argv[3]), float(sys.argv[4]))
took = time.perf_counter() - begin
print(len(windows), took, re.findall(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[0])
"""
"""VmHWM is of this program alone; what `resource` tells counts the process that started it."""


def long_file(waveform: Waveform, rate: int, options: argparse.Namespace) -> str:
    """What `embed_windows` takes for a file that repeats the waveform, in a process that does nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "long.flac")
        minute = np.resize(resample(waveform, rate, options.rate), 60 * options.rate)
        with soundfile.SoundFile(path, "w", options.rate, 2) as file:
            for _ in range(options.minutes):
                file.write(np.stack([minute, minute], axis=1))
        how = (options.model, path, options.window, options.hop)
        done = subprocess.run([sys.executable, "-c", LONG, *map(str, how)], check=True, capture_output=True, text=True)
    windows, took, most = map(float, done.stdout.split())
    return (
        f"{options.minutes} minutes of {options.rate} Hz stereo flac, {windows:,.0f} windows: {took:.1f} s, "
        f"{60 * options.minutes / took:.0f} times real time, peak {most / 1000:.0f} MB"
    )


def main() -> None:
    """Read the options, check, time, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=Path, help="of two minutes or more; without it, synthetic voices")
    parser.add_argument("--model", default="default")
    parser.add_argument("--window", type=float, default=3.0, help="seconds")
    parser.add_argument("--hop", type=float, default=1.5, help="seconds; whole frames of 10 ms")
    parser.add_argument("--rounds", type=int, default=7, help="times that everything is timed; their median counts")
    parser.add_argument("--minutes", type=int, default=60, help="of the long file")
    parser.add_argument("--rate", type=int, default=44100, help="samples a second of the long file")
    options = parser.parse_args()

    encoder = Encoder.load(options.model, threads=1)
    bundle = Bundle.load(options.model)
    front_end = FrontEndConfig.of_bundle(bundle.config.model["front_end"], bundle.folder / "config.json")
    shared, rate = Shared(OnnxNetwork(bundle, threads=1), front_end), encoder.rate
    waveform = load(options.recording, rate) if options.recording else voices(120 * rate, rate)
    waveform = waveform[: 120 * rate]
    frame = front_end.hop
    size, hop = (round(each * rate / frame) * frame for each in (options.window, options.hop))
    spans = [span for span in cover(0, len(waveform), size, hop) if span[0] % frame == 0]
    ways: dict[str, Callable[[], object]] = {
        "whole network on batches": lambda: encoder.embed_waveforms([waveform[start:end] for start, end in spans]),
        "stages, features shared": lambda: shared.embed(waveform, spans),
    }
    difference = float(np.abs(np.subtract(*(run() for run in ways.values()))).max())
    if difference > 1e-4:
        sys.exit(f"the two ways differ by {difference:.1e}")
    ways["finding speech"] = lambda: find_speech(waveform, rate).segments
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, run in ways.items():
            times[name].append(seconds(run))
    print(f"{encoder.name}, windows of {size / rate:g} s every {hop / rate:g} s, one thread, equal to {difference:.0e}")
    for name, found in times.items():
        median = float(np.median(found))
        minute = 60 * median * rate / len(waveform)
        print(f"{name:26} {1000 * median / len(spans):6.2f} ms a window, {minute:.2f} s a minute")
    print(long_file(waveform, rate, options))


if __name__ == "__main__":
    main()
