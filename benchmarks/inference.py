"""From a waveform to its embedding, one at a time: milliseconds, work and memory.

`acanet` and `acanet-local` as they are exported, the same models in torch, ACA-Net in the authors' layout (plain torch
modules under the same front end), and the baselines exported like ours. All have random weights: how long a network
takes does not depend on them. Before anything is timed, the forms of one model must give the same embedding to 1e-4.

    python benchmarks/inference.py                                          # everything, one core and two: minutes
    python benchmarks/inference.py --quick                                  # one core, 1 s and 3 s: about a minute
    python benchmarks/inference.py --json speed.json --chart speed.svg      # and keep what was measured
    python benchmarks/inference.py --systems acanet NAME NAME               # any registered models
    python benchmarks/inference.py --profile acanet                         # where the time goes, operator by operator

All systems take turns, and so do the products of two matrices that say what the machine can do at that moment. Speech
detection and reading of files are not in the figures. SpeechBrain and Resemblyzer take part where they are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from acanet import Encoder
from acanet.audio.blocks import Waveform
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.experiment.origin import cores, processor
from acanet.experiment.speed import Speed, Timing

RATE, LONGEST = 16000, 60
LENGTHS, THREADS = (1, 3, 10, 60), (1, 2)
OURS, AUTHORS, LARGE = "acanet", "authors' layout, torch", "ecapa-1024"
SAME = 1e-4
SIDE = 1024  # of the matrices whose product is the peak
PEAK = "peak: "
SHORT = 0.1
"""Seconds: a call that takes less is repeated in each turn, so that the one timed does not begin with cold caches."""

Embed = Callable[[Waveform], Any]
Waveforms = Mapping[int, Waveform]
"""By length in seconds, from the shortest."""


# What is compared: each loads itself from a model's folder, for a number of threads


def exported(folder: Path, threads: int) -> Embed:
    encoder = Encoder.load(folder / "exported", threads=threads)
    return lambda waveform: encoder.embed_waveforms([waveform])[0]


def in_torch(folder: Path, threads: int) -> Embed:
    encoder = Encoder.load(folder / "torch", threads=threads)
    return lambda waveform: encoder.embed_waveforms([waveform])[0]


def as_published(folder: Path, threads: int) -> Embed:
    import torch

    from acanet.models.parts.kaldi_fbank import KaldiFrontEnd

    torch.set_num_threads(threads)
    front_end, network = KaldiFrontEnd().build(), published().eval()

    @torch.no_grad()
    def embed(waveform: Waveform) -> Any:
        features, _ = front_end(torch.from_numpy(waveform).unsqueeze(0))
        return torch.nn.functional.normalize(network(features))[0].numpy()

    return embed


def speechbrain(folder: Path, threads: int) -> Embed:
    import torch
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
    from speechbrain.processing.features import InputNormalization

    torch.set_num_threads(threads)
    fbank, mean = Fbank(n_mels=80), InputNormalization(norm_type="sentence", std_norm=False)
    network = ECAPA_TDNN(80, lin_neurons=192, channels=[1024] * 4 + [3072]).eval()

    @torch.no_grad()
    def embed(waveform: Waveform) -> Any:
        features = mean(fbank(torch.from_numpy(waveform).unsqueeze(0)), torch.ones(1))
        return network(features)[0, 0].numpy()

    return embed


def resemblyzer(folder: Path, threads: int) -> Embed:
    import torch
    from resemblyzer import VoiceEncoder

    torch.set_num_threads(threads)
    return VoiceEncoder("cpu", verbose=False).embed_utterance


@dataclass(frozen=True)
class System:
    """What loads it; the registered model that it is; a package that it needs."""

    load: Callable[[Path, int], Embed]
    model: str = ""
    package: str = ""


SYSTEMS = {
    OURS: System(exported, "acanet"),
    "acanet, torch": System(in_torch, "acanet"),
    AUTHORS: System(as_published, "acanet"),
    "acanet-local": System(exported, "acanet-local"),
    "acanet-local, torch": System(in_torch, "acanet-local"),
    "x-vector": System(exported, "x-vector"),
    "campplus": System(exported, "campplus"),
    "ecapa-512": System(exported, "ecapa-512"),
    LARGE: System(exported, "ecapa-1024"),
    "ecapa-1024, SpeechBrain": System(speechbrain, package="speechbrain"),
    "Resemblyzer": System(resemblyzer, package="resemblyzer"),
}
"""What takes part unless --systems says otherwise."""
QUICK = (OURS, "acanet, torch", AUTHORS, "acanet-local", LARGE)


def system_of(name: str) -> System:
    """A system by its name; any other registered model as exported."""
    return SYSTEMS.get(name) or System(exported, name)


# Models with random weights, in the forms that are compared


def published() -> Any:
    """ACA-Net in the authors' layout, with the same random weights in every process."""
    import torch
    from train_step import MELS, PlainAcaNet

    from acanet.models.parts.mla import MlaAggregator

    torch.manual_seed(0)
    return PlainAcaNet(MELS, 256, 100 * LONGEST, MlaAggregator())


def fresh(name: str) -> Any:
    """A registered model with random weights; `acanet` has those of `published`."""
    import torch

    from acanet.models.parts import mla
    from acanet.models.registry import build_model

    torch.manual_seed(0)
    model = build_model(name)
    if name == SYSTEMS[AUTHORS].model:
        mla.AUTHORS.load(model, published().state_dict())
    return model.eval()


def prepare(name: str, folder: Path) -> None:
    """Write a model as training does and as `acanet export` does, unless both are there."""
    from acanet.export import export as exporting
    from acanet.export import gate
    from acanet.runtime.bundle import BundleConfig, Provenance, write_bundle

    if (folder / "exported" / "config.json").is_file():
        return
    model = fresh(name)
    config = BundleConfig(name=name, model=model.config.model_dump(mode="json"), licence="none")
    weights = {key: value.numpy() for key, value in model.state_dict().items()}
    write_bundle(folder / "torch", config, weights, Provenance(), f"# {name}, random weights\n")

    def whole_alone(folded: Any) -> dict[str, Any]:
        return {"whole": stages(folded)["whole"]}

    stages = exporting.stages
    with (  # all of it takes minutes a model
        mock.patch.multiple(exporting, stages=whole_alone, pieces=lambda folded: None),
        mock.patch.object(gate, "LENGTHS", (0.5, 3.0)),
    ):
        exporting.export_model(folder / "torch", folder / "exported")


def gflop(name: str, seconds: float) -> float | None:
    """Floating-point operations of the matrix products and convolutions, two for each multiply-add.

    Those of the front end are in it. None for a system of another package.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from acanet.models.folding import fold
    from acanet.models.parts.kaldi_fbank import KaldiFrontEnd

    system = system_of(name)
    if not system.model:
        return None
    network = published().eval() if system.load is as_published else fresh(system.model)
    if system.load is exported:
        network = fold(network)
    front_end, network = KaldiFrontEnd().build().to("meta"), network.requires_grad_(False).to("meta")
    with FlopCounterMode(display=False) as counter:
        network(front_end(torch.empty(1, round(seconds * RATE), device="meta"))[0])
    return counter.get_total_flops() / 1e9


def all_gflop(names: Sequence[str], lengths: Sequence[int]) -> dict[tuple[str, int], float | None]:
    return {(name, seconds): gflop(name, seconds) for name in names for seconds in lengths}


# Measuring, in processes of their own


def alone(threads: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process with that many threads."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def products(threads: int) -> dict[str, Callable[[], Any]]:
    """The float32 product of two matrices, in onnxruntime and in torch."""
    import onnx
    import onnxruntime
    import torch

    left, right = np.random.default_rng(0).standard_normal((2, SIDE, SIDE), dtype=np.float32)
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (SIDE, SIDE)) for name in ("x", "y")]
    node = onnx.helper.make_node("MatMul", ["x", "matrix"], ["y"])
    graph = onnx.helper.make_graph(
        [node], "product", ends[:1], ends[1:], [onnx.numpy_helper.from_array(right, "matrix")]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=9)
    session = open_session(model.SerializeToString(), threads, onnxruntime.SessionOptions())
    one, other = torch.from_numpy(left), torch.from_numpy(right)
    return {
        PEAK + "onnxruntime": lambda: session.run(None, {"x": left}),
        PEAK + "torch": lambda: one @ other,
    }


def open_session(model: bytes | Path, threads: int, options: Any) -> Any:
    import onnxruntime

    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def seconds_of(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def in_turns(runs: Mapping[str, Callable[[], Any]], rounds: int, budget: float) -> dict[str, list[float]]:
    """Seconds of the calls of each, warm; what takes long sits rounds out, so that it takes about `budget` seconds."""
    costs = {name: min(seconds_of(run), seconds_of(run)) for name, run in runs.items()}
    calls = {name: min(rounds, max(3, round(budget / cost))) for name, cost in costs.items()}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name, run in runs.items():
            if (number + 1) * calls[name] // rounds > number * calls[name] // rounds:
                if costs[name] < SHORT:
                    run()
                times[name].append(seconds_of(run))
    return times


def check_same(runs: Mapping[str, Embed], waveform: Waveform) -> None:
    """Systems that are forms of one model give one embedding; exits when they do not."""
    first: dict[str, Any] = {}
    for name, embed in runs.items():
        embedding = embed(waveform)
        expected = first.setdefault(system_of(name).model or name, embedding)
        difference = np.abs(embedding - expected).max()
        if not difference < SAME:
            sys.exit(f"{name}: its embedding differs by {difference:.1e} from the model's own; nothing was timed")


def timed(
    names: Sequence[str], folder: Path, waveforms: Waveforms, threads: int, rounds: int, budget: float
) -> dict[int, dict[str, list[float]]]:
    """Seconds of all calls, by length and system."""
    import torch

    torch.set_num_threads(threads)
    systems = {name: system_of(name).load(folder / system_of(name).model, threads) for name in names}
    check_same(systems, waveforms[min(waveforms)])
    peak = products(threads)
    return {
        seconds: in_turns({name: partial(run, waveform) for name, run in systems.items()} | peak, rounds, budget)
        for seconds, waveform in waveforms.items()
    }


def peak_megabytes(name: str, folder: Path, waveforms: Waveforms, threads: int) -> dict[int, float]:
    """The most memory that this process ever had (VmHWM of Linux), after each length from the shortest.

    Not `getrusage`: its figure is at least that of the process which started this one.
    """
    embed = system_of(name).load(folder / system_of(name).model, threads)
    found = {}
    for seconds, waveform in waveforms.items():
        embed(waveform)
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        found[seconds] = int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1000
    return found


@dataclass(frozen=True)
class Result:
    """One system on one length: milliseconds as median and least; `ratio` to ours; work, and its share of the peak."""

    system: str
    threads: int
    seconds: int
    milliseconds: float
    least: float
    calls: int
    ratio: float
    peak_gflops: float
    gflop: float | None
    share: float | None
    megabytes: float


def results(names: Sequence[str], folder: Path, waveforms: Waveforms, options: argparse.Namespace) -> list[Result]:
    """Everything that is measured."""
    work = alone(1, all_gflop, names, list(waveforms))
    found = []
    for threads in options.threads:
        progress(f"memory and time, threads: {threads}")
        memory = {name: alone(threads, peak_megabytes, name, folder, waveforms, threads) for name in names}
        times = alone(threads, timed, names, folder, waveforms, threads, options.rounds, options.budget)
        for seconds, by_name in times.items():
            medians = {name: statistics.median(calls) for name, calls in by_name.items()}
            peak = max(2e-9 * SIDE**3 / median for name, median in medians.items() if name.startswith(PEAK))
            for name in names:
                amount = work[name, seconds]
                found.append(
                    Result(
                        system=name,
                        threads=threads,
                        seconds=seconds,
                        milliseconds=1000 * medians[name],
                        least=1000 * min(by_name[name]),
                        calls=len(by_name[name]),
                        ratio=medians[name] / medians[OURS],
                        peak_gflops=peak,
                        gflop=amount,
                        share=None if amount is None else amount / medians[name] / peak,
                        megabytes=memory[name][seconds],
                    )
                )
    return found


# What is promised


@dataclass(frozen=True)
class Bound:
    """How many times as long as `than` a system takes on one core; None: as the limit, its work over the peak."""

    seconds: int
    system: str
    than: str | None
    bound: float
    aim: float | None = None


BOUNDS = (
    Bound(3, AUTHORS, OURS, 1.4, 1.6),
    Bound(60, AUTHORS, OURS, 2.0, 2.6),
    Bound(3, OURS, None, 1.4),
    Bound(60, OURS, None, 1.7),
    Bound(3, LARGE, OURS, 4.0),
    Bound(60, LARGE, OURS, 20.0),
)


def judge(bound: Bound, found: Sequence[Result]) -> str | None:
    """A line that says whether a bound is kept; None when it was not measured."""
    by_name = {each.system: each for each in found if (each.threads, each.seconds) == (1, bound.seconds)}
    if bound.system not in by_name:
        return None
    result = by_name[bound.system]
    if bound.than is None:
        assert result.share is not None
        value, than = 1 / result.share, "its GFLOP at the measured peak"
        relation, kept = "at most", value <= bound.bound
    else:
        value, than = result.ratio, bound.than
        relation, kept = "at least", value >= bound.bound
    aim = f", aim {bound.aim}" if bound.aim else ""
    promise = f"({relation} {bound.bound}{aim}): {'kept' if kept else 'MISSED'}"
    return f"- {bound.seconds} s: {bound.system} takes {value:.2f} times as long as {than} {promise}"


# Reports


def table(found: Sequence[Result], cell: Callable[[Result], str]) -> str:
    """Systems by lengths, as Markdown."""
    lengths = sorted({each.seconds for each in found})
    rows: dict[str, list[str]] = defaultdict(list)
    for each in sorted(found, key=lambda each: each.seconds):
        rows[each.system].append(cell(each))
    head = ["system", *(f"{seconds} s" for seconds in lengths)]
    lines = [head, ["---", *["---:"] * len(lengths)], *([name, *cells] for name, cells in rows.items())]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(found: Sequence[Result]) -> str:
    """Tables of everything, as Markdown, and the bounds."""
    parts = []
    for threads in sorted({each.threads for each in found}):
        here = [each for each in found if each.threads == threads]
        peaks = ", ".join(f"{each.peak_gflops:.0f} at {each.seconds} s" for each in here if each.system == OURS)
        cores = "one core" if threads == 1 else f"{threads} cores"
        parts += [
            f"### Milliseconds, {cores}: median (least), times {OURS}",
            table(here, lambda each: f"{each.milliseconds:.1f} ({each.least:.1f}), {each.ratio:.2f}×"),
            f"### GFLOP, and share of the peak, {cores} (GFLOP/s: {peaks})",
            table(here, lambda each: "" if each.gflop is None else f"{each.gflop:.2f}, {each.share:.0%}"),
            f"### Peak memory of the process, MB, {cores}",
            table(here, lambda each: f"{each.megabytes:.0f}"),
        ]
    lines = [line for bound in BOUNDS if (line := judge(bound, found))]
    if lines:
        parts += ["### Bounds, one core", "\n".join(lines)]
    return "\n\n".join(parts)


def versions() -> dict[str, str]:
    """Of what computes."""
    packages = ("acanet", "numpy", "onnxruntime", "torch", *(each.package for each in SYSTEMS.values() if each.package))
    return {name: version(name) for name in packages if find_spec(name)}


def speed(found: Sequence[Result]) -> Speed:
    """The medians, as the results page reads them."""
    timings = tuple(
        Timing(
            system=each.system,
            threads=each.threads,
            seconds=each.seconds,
            milliseconds=round(each.milliseconds, 3),
            ratio=round(each.ratio, 4),
        )
        for each in found
    )
    return Speed(processor=processor(), cores=cores(), versions=versions(), timings=timings)


def progress(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr)


def write(path: Path, save: Callable[[Path], Any]) -> None:
    """Let a function write a file under another name, then give it its own."""
    unfinished = path.with_name(f".{path.name}")
    save(unfinished)
    os.replace(unfinished, path)


def draw(path: Path, found: Sequence[Result], on: str) -> None:
    """Time against length as SVG, with the smallest number of threads."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    fewest = min(each.threads for each in found)
    matplotlib.rcParams |= {"svg.fonttype": "none", "svg.hashsalt": "acanet", "font.size": 10}
    figure, axes = pyplot.subplots(figsize=(8, 4.6), layout="constrained")
    for name in dict.fromkeys(each.system for each in found):
        points = [(each.seconds, each.milliseconds) for each in found if (each.system, each.threads) == (name, fewest)]
        style, width = "--" if "torch" in name else "-", 2.4 if name.startswith("acanet") else 1.2
        axes.plot(*zip(*points, strict=True), style, linewidth=width, marker="o", markersize=4, label=name)
    lengths = sorted({each.seconds for each in found})
    axes.set(xscale="log", yscale="log", xlabel="seconds of speech", ylabel="milliseconds to the embedding")
    axes.set_xticks(lengths, [str(seconds) for seconds in lengths], minor=False)
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right center", frameon=False)
    title = f"Milliseconds from a waveform to its embedding against its length, {fewest} thread, {on}."
    figure.savefig(path, format="svg", metadata={"Title": title, "Date": None, "Creator": None})


def profile(folder: Path, waveforms: Waveforms, threads: int, rounds: int) -> str:
    """Where onnxruntime spends its time in an exported model: by kind of operator, and its ten costliest nodes."""
    import onnxruntime

    lines = []
    with tempfile.TemporaryDirectory(prefix="acanet-profile-") as scratch:
        for seconds, waveform in waveforms.items():
            options = onnxruntime.SessionOptions()
            options.enable_profiling, options.profile_file_prefix = True, str(Path(scratch) / "profile")
            session = open_session(folder / "exported" / "whole.onnx", threads, options)
            inputs = {"waveforms": waveform[None], "lengths": np.array([len(waveform)])}
            for _ in range(rounds + 1):
                session.run(None, inputs)
            events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
            nodes: dict[tuple[str, str, str], list[float]] = defaultdict(list)
            for event in events:
                if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
                    facts = event["args"]
                    shapes = " ".join(str(next(iter(shape.values()))) for shape in facts["input_type_shape"])
                    nodes[facts["op_name"], event["name"].removesuffix("_kernel_time"), shapes].append(event["dur"])
            medians = {node: statistics.median(times[1:]) / 1000 for node, times in nodes.items()}
            whole = sum(medians.values())
            kinds: dict[str, list[float]] = defaultdict(list)
            for (kind, _, _), milliseconds in medians.items():
                kinds[kind].append(milliseconds)
            lines += [f"\n{seconds} s, {threads} threads: {whole:.2f} ms in {len(medians)} nodes"]
            for kind, times in sorted(kinds.items(), key=lambda item: -sum(item[1])):
                lines.append(f"{sum(times):9.2f} ms {sum(times) / whole:6.1%}  {kind} x {len(times)}")
            lines.append("costliest nodes:")
            for (kind, name, shapes), milliseconds in sorted(medians.items(), key=lambda item: -item[1])[:10]:
                lines.append(f"{milliseconds:9.2f} ms {milliseconds / whole:6.1%}  {kind} {shapes}  {name}")
    return "\n".join(lines)


def read_options() -> argparse.Namespace:
    installed = [name for name, system in SYSTEMS.items() if not system.package or find_spec(system.package)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer systems and calls, 1 s and 3 s, one core")
    parser.add_argument(
        "--systems", nargs="+", metavar="NAME", help=f"of {', '.join(installed)}, and of `acanet models`"
    )
    parser.add_argument("--lengths", nargs="+", type=int, help="seconds; default: 1 3 10 60")
    parser.add_argument("--threads", nargs="+", type=int, help="that work on one waveform; default: 1 2")
    parser.add_argument("--rounds", type=int, help="most calls of each system; default: 25")
    parser.add_argument("--budget", type=float, default=1.5, help="seconds for the calls of one system on one length")
    parser.add_argument("--cache", type=Path, help="keep the exported models there; empty it when the export changed")
    parser.add_argument("--json", type=Path, help="write the medians there, for `acanet results --speed`")
    parser.add_argument("--chart", type=Path, help="draw time against length there, as SVG")
    parser.add_argument("--profile", metavar="NAME", help="of `acanet models`")
    options = parser.parse_args()
    options.systems = options.systems or (QUICK if options.quick else installed)
    options.lengths = sorted(options.lengths or ((1, 3) if options.quick else LENGTHS))
    options.threads = options.threads or ((1,) if options.quick else THREADS)
    options.rounds = options.rounds or (10 if options.quick else 25)
    if not 1 <= options.lengths[0] <= options.lengths[-1] <= LONGEST:
        parser.error(f"--lengths are from 1 to {LONGEST} seconds")
    if options.rounds < 3:
        parser.error("--rounds are 3 or more")
    if OURS not in options.systems:
        parser.error(f"--systems need {OURS}, which the others are compared with")
    if unknown := [name for name in (*options.systems, options.profile) if name and not is_known(name, installed)]:
        parser.error(f"{unknown[0]!r} is none of {', '.join(installed)}, and `acanet models` does not list it")
    if options.profile and system_of(options.profile).load is not exported:
        parser.error(f"--profile is for models as exported, not for {options.profile!r}")
    return options


def is_known(name: str, installed: Sequence[str]) -> bool:
    """Whether a system can take part: one that is installed, or any registered model."""
    if name in SYSTEMS:
        return name in installed
    from acanet.models.registry import model_names

    return name in model_names()


def main() -> None:
    """Read the options, export, measure, print."""
    options = read_options()
    load = os.getloadavg()[0]
    voice = SyntheticVoice.draw(0, 0)
    waveforms = {seconds: synthesise(voice, seconds, seconds, RATE) for seconds in options.lengths}
    with tempfile.TemporaryDirectory(prefix="acanet-inference-") as scratch:
        folder = options.cache or Path(scratch)
        names = [options.profile] if options.profile else options.systems
        models = sorted({system_of(name).model for name in names} - {""})
        progress(f"exporting {', '.join(models)}")
        os.environ["OMP_NUM_THREADS"] = "1"
        with ProcessPoolExecutor(cores(), mp_context=get_context("spawn")) as pool:
            list(pool.map(prepare, models, [folder / model for model in models]))
        if options.profile:
            for threads in options.threads:
                print(alone(threads, profile, folder / models[0], waveforms, threads, options.rounds))
            return
        found = results(names, folder, waveforms, options)
    medians = speed(found)
    used = ", ".join(f"{name} {number}" for name, number in medians.versions.items())
    print(f"{medians.processor}, {medians.cores} cores, load before the run {load:.2f}; {used}\n")
    print(report(found))
    if options.json:
        write(options.json, lambda path: path.write_text(medians.as_json(), encoding="utf-8"))
    if options.chart:
        write(options.chart, lambda path: draw(path, found, medians.processor))


if __name__ == "__main__":
    main()
