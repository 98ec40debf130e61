"""`embed` and `verify` ask the same question of speech: what one refuses, the other does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.encoder import Encoder
from acanet.errors import AcanetError, NoSpeech, TooShort

pytestmark = pytest.mark.filterwarnings("ignore::acanet.audio.quality.AudioWarning")

RATE = 16000


@pytest.fixture(scope="module")
def voices() -> list[np.ndarray]:
    return [synthesise(SyntheticVoice.draw(5, number), 6.0, [5, number]) for number in range(8)]


def clips(voices: list[np.ndarray], count: int) -> Iterator[np.ndarray]:
    """Random cuts of voices with silence around them, at random levels, in random noise: much of it on the border."""
    rng = np.random.default_rng(3)
    for _ in range(count):
        voice = voices[rng.integers(len(voices))]
        length = int(RATE * rng.uniform(0.1, 1.5))
        start = rng.integers(len(voice) - length)
        before, after = (int(RATE * rng.choice([0.0, rng.uniform(0, 1)])) for _ in range(2))
        clip = np.pad(voice[start : start + length], (before, after))
        noise = rng.standard_normal(len(clip)) * np.std(clip) * 10 ** (-rng.uniform(-5, 40) / 20)
        yield ((clip + noise) * 10 ** (-rng.uniform(0, 50) / 20)).clip(-1, 1).astype(np.float32)


def verdict(ask: Callable[[np.ndarray], object], clip: np.ndarray) -> str:
    """The error that a clip is refused with."""
    try:
        ask(clip)
    except (NoSpeech, TooShort) as error:
        return str(error)
    return ""


@pytest.mark.parametrize("count", [100, pytest.param(10_000, marks=pytest.mark.slow)])
def test_what_embed_refuses_verify_refuses(voices: list[np.ndarray], count: int) -> None:
    encoder = Encoder.load()
    refused = 0
    made = list(clips(voices, count))
    for clip, together in zip(made, encoder.embed_many(made), strict=True):
        said = verdict(encoder.embed, clip)
        assert said == verdict(lambda clip: encoder.verify(clip, clip), clip)
        assert said == (str(together) if isinstance(together, AcanetError) else "")
        refused += bool(said)
    assert count / 10 < refused < 9 * count / 10
