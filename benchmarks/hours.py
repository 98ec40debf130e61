"""Memory and time of `embed` and `stream` against the length of the recording.

A wav file of each length holds synthetic voices, one after the other, over and over. Each way to embed it runs in a
process of its own, on one thread. Peak memory is that of the whole process, by getrusage.

    python benchmarks/hours.py                                  # 1 and 10 minutes, 1 and 6 hours
    python benchmarks/hours.py --minutes 1 10 60 --parts        # and where the time goes
    python benchmarks/hours.py --recording talk.flac            # a recording of your own, as it is
    python benchmarks/hours.py --output hours.json --picture hours.png

`hear` is `embed` and the speech, as `verify` does it; `stream` is fed blocks of 0.1 s. `network` is the model alone,
fed the samples in pieces: nothing is checked, and the time of its search for speech is left out. The ways take turns
in `--rounds`; medians count.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

# This process stays small, for children start with its peak: what is large is imported by the functions they run.

RATE = 16000
VOICES, SECONDS = 24, 6.0
WAYS = ("embed", "hear", "stream", "network")


# Run by children


def make(path: Path, seconds: float) -> None:
    """Write synthetic voices, one after the other."""
    import numpy as np
    import soundfile

    from acanet.data.synthetic import SyntheticVoice, synthesise

    voices = [synthesise(SyntheticVoice.draw(0, number), SECONDS, [0, number]) for number in range(VOICES)]
    talk, left = np.concatenate(voices), round(seconds * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while left > 0:
            file.write(talk[:left])
            left -= len(talk)


def measure(path: Path, way: str, model: str, parts: bool) -> dict[str, Any]:
    """Peak memory (MB) and seconds of one way to embed a recording, and of its parts."""
    from acanet import Encoder
    from acanet.audio.recording import open_recording

    encoder = Encoder.load(model, threads=1)
    loaded = peak()
    spent = timed(encoder) if parts or way == "network" else {}
    run = {
        "embed": encoder.embed,
        "hear": encoder.hear,
        "stream": lambda path: stream(encoder, path),
        "network": lambda path: alone(encoder, path),
    }
    begin = time.perf_counter()
    run[way](path)
    wall = time.perf_counter() - begin
    if way == "network":
        wall -= spent.pop("speech", 0.0)
    told = spent | {"the rest": wall - sum(spent.values())} if parts else {}
    figures = {"loaded_mb": loaded, "peak_mb": peak(), "wall": wall, "parts": told}
    with open_recording(path) as recording:
        return {"seconds": recording.claimed_seconds} | figures


def stream(encoder: Any, path: Path) -> None:
    """Feed a recording in blocks of 0.1 s, and ask for embedding and seconds of speech at the end."""
    import numpy as np
    import soundfile

    with soundfile.SoundFile(path) as file, encoder.stream(rate=file.samplerate) as heard:
        for second in file.blocks(file.samplerate, dtype="float32", always_2d=True):
            for block in np.array_split(second.mean(axis=1), 10):
                heard.feed(block)
        heard.end()
        heard.embedding()
        assert heard.speech_seconds > 0


def alone(encoder: Any, path: Path) -> None:
    """Give the network a recording at its rate in pieces, and take the embedding, if it can be run so."""
    import soundfile

    with soundfile.SoundFile(path) as file, encoder.network.in_pieces() as pieces:
        for second in file.blocks(file.samplerate, dtype="float32", always_2d=True):
            pieces.feed(second.mean(axis=1))
        pieces.embedding()


def timed(encoder: Any) -> dict[str, float]:
    """Seconds spent in each stage of the model, in speech detection, and on the way there, as they pass."""
    from acanet.audio import quality, resample, soundfiles
    from acanet.runtime import spill

    spent: dict[str, float] = defaultdict(float)

    def around(function: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            begin = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent[name(*arguments)] += time.perf_counter() - begin

        return run

    encoder.network.run = around(encoder.network.run, lambda stage: stage)
    for owner, method, name in (
        (soundfiles.SoundLink, "_read", "decode"),
        (quality.Losses, "feed", "losses"),
        (resample.Resampler, "feed", "resampling"),
        (spill.Spill, "append", "spill"),
        (spill.Spill, "read", "spill"),
    ):
        setattr(owner, method, around(getattr(owner, method), lambda *_, name=name: name))
    return spent


def peak() -> float:
    """The most memory that this process has had, in MB of 10^6 bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 1e6 if sys.platform == "darwin" else most * 1024 / 1e6


# Run by the parent


def child(*arguments: str) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def show(row: dict[str, Any]) -> None:
    times = row["seconds"] / row["wall"]
    print(
        f"{row['seconds'] / 60:8.1f} min  {row['way']:7} {row['peak_mb']:7.0f} MB ({row['loaded_mb']:.0f} loaded) "
        f"{row['wall']:8.2f} s {times:7.0f} times real time",
        flush=True,
    )
    whole = row["wall"]
    for name, spent in sorted(row["parts"].items(), key=lambda item: -item[1]):
        if spent > 0.002 * whole:
            print(f"{'':14}{name:12} {spent:8.2f} s {spent / whole:6.1%}")


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Peak memory against length."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    for way in dict.fromkeys(row["way"] for row in rows):
        chosen = [row for row in rows if row["way"] == way]
        axes.plot([row["seconds"] / 60 for row in chosen], [row["peak_mb"] for row in chosen], "o-", label=way)
    axes.set(xscale="log", xlabel="minutes of audio", ylabel="peak memory of the process, MB", ylim=(0, None))
    minutes = sorted({round(row["seconds"] / 60, 1) for row in rows})
    axes.set_xticks(minutes, [f"{each:g}" for each in minutes], minor=False)
    axes.minorticks_off()
    axes.legend()
    title = "Peak memory of a process that embeds a recording against its length."
    figure.savefig(path, dpi=150, metadata={"Title": title, "Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Read the options; make, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10, 60, 360], help="lengths")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--rounds", type=int, default=1, help="times that each way is timed")
    parser.add_argument("--model", default="default")
    parser.add_argument("--recording", type=Path, help="one of your own, as long as it is")
    parser.add_argument("--parts", action="store_true", help="tell where the time goes; this takes a little itself")
    parser.add_argument("--folder", type=Path, help="where recordings are written for the time being, 2 MB a minute")
    parser.add_argument("--output", type=Path, help="all figures as JSON")
    parser.add_argument("--picture", type=Path, help="memory against length, .png or .svg; needs matplotlib")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        task = json.loads(options.child)
        path = Path(task.pop("path"))
        print(json.dumps(measure(path, **task) if "way" in task else make(path, **task)))
        return
    rows = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        for minutes in [0] if options.recording else options.minutes:
            path = options.recording or Path(folder) / f"{minutes:g}.wav"
            if not options.recording:
                child("--child", json.dumps({"path": str(path), "seconds": 60 * minutes}))
            found = defaultdict(list)
            for way in options.ways * options.rounds:
                task = {"path": str(path), "way": way, "model": options.model, "parts": options.parts}
                found[way].append({"way": way} | json.loads(child("--child", json.dumps(task))))
            for way in options.ways:
                by_time = sorted(found[way], key=lambda row: row["wall"])
                rows.append(by_time[len(by_time) // 2])
                show(rows[-1])
            if not options.recording:
                path.unlink()
    if options.output:
        options.output.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if options.picture:
        draw(rows, options.picture)


if __name__ == "__main__":
    main()
