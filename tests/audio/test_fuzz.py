"""Mutants of recordings for a minute; `make soak` hears ten thousand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acanet.audio.recording import read_audio
from support.mutants import hear, mutant, recordings


@pytest.mark.slow
def test_a_minute_of_mutants(tiny_bundle: Path, voices: Path) -> None:
    speech, rate = read_audio(voices / "s001" / "000.wav")
    tally = hear(recordings(speech, rate), tiny_bundle, range(10_000, 11_000))
    assert not tally.wrong, "\n".join(tally.lines())
    assert sum(tally.outcomes.values()) == 1000


def test_mutants_are_the_same_every_time() -> None:
    seeds = {"a": bytes(100), "b": bytes(range(100))}
    assert [mutant(seeds, number) for number in range(50)] == [mutant(seeds, number) for number in range(50)]
    assert len({mutant(seeds, number)[1] for number in range(50)}) > 40


def test_every_recording_that_is_damaged_can_be_heard() -> None:
    speech = np.clip(0.1 * np.random.default_rng(0).standard_normal(16000), -1, 1).astype(np.float32)
    seeds = recordings(speech, 16000)
    assert len(seeds) > 40
    for name, data in seeds.items():
        assert len(read_audio(data)[0]) > 7500, name  # amr has half the rate
