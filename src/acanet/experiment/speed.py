"""The time that models take from a waveform to its embedding, as `benchmarks/inference.py --json` writes it."""

from __future__ import annotations

from pydantic import Field

from acanet.config.strict import Strict


class Timing(Strict):
    """The time of one system on one length of speech, with one number of threads."""

    system: str = Field(description="a registered model, as exported, or another thing that the benchmark knows")
    threads: int
    seconds: int = Field(description="of speech")
    milliseconds: float = Field(description="median of the calls")
    ratio: float = Field(description="of that to the median of `acanet` in the same run")


class Speed(Strict):
    """One run of the benchmark, in which all systems took turns."""

    processor: str
    cores: int
    versions: dict[str, str]
    timings: tuple[Timing, ...]

    def milliseconds(self, system: str, seconds: int) -> float | None:
        """The time of a system on one core; None where it was not measured."""
        for timing in self.timings:
            if (timing.system, timing.threads, timing.seconds) == (system, 1, seconds):
                return timing.milliseconds
        return None
