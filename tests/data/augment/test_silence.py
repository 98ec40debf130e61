"""What recorders, gates and networks leave between words, on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from acanet.data.augment.chain import Banks, Chain
from acanet.data.augment.effects import Augment
from acanet.data.augment.silence import add_faint_noise, gate, lose_packets, mute_end, put_in
from acanet.errors import BadConfig

RATE = 16000


@pytest.fixture
def speech():
    """A second of noise, one 40 dB below it, and another loud one."""
    rng = np.random.default_rng(0)
    return np.concatenate([level * rng.standard_normal(RATE) for level in (0.1, 0.001, 0.1)]).astype(np.float32)


def chain(**effects):
    """The effects by name, drawn with a seed."""
    return lambda crop, seed=0: Chain(Augment.parse(effects, "test"), Banks(), RATE)(
        crop, np.random.default_rng(seed), lambda count: []
    )


@pytest.mark.parametrize(("place", "at"), [("before", 0), ("inside", 3), ("after", 6)])
def test_something_quiet_is_put_in(place, at):
    waveform = np.arange(1, 7, dtype=np.float32)
    found = put_in(waveform, np.zeros(2, np.float32), place)
    assert found[at : at + 2].tolist() == [0, 0]
    assert np.delete(found, [at, at + 1]).tolist() == waveform.tolist()


@pytest.mark.parametrize(
    ("first", "samples", "left"),
    [(True, 2, [0, 0, 3, 4]), (False, 2, [1, 2, 0, 0]), (True, 0, [1, 2, 3, 4]), (False, 0, [1, 2, 3, 4])]
    + [(each, samples, [0, 0, 0, 0]) for each in (True, False) for samples in (4, 9)],
)
def test_an_end_is_muted(first, samples, left):
    waveform = np.array([1, 2, 3, 4], np.float32)
    assert mute_end(waveform, samples, first=first).tolist() == left
    assert waveform.tolist() == [1, 2, 3, 4]


def test_a_share_of_the_packets_is_lost_whole():
    waveform = np.ones(100_050, np.float32)
    found = lose_packets(waveform, np.random.default_rng(0), 0.2, 100)
    assert found.dtype == np.float32
    assert found.shape == waveform.shape
    packets = found[:100_000].reshape(-1, 100)
    assert (packets.min(axis=1) == packets.max(axis=1)).all()
    assert np.mean(packets == 0) == pytest.approx(0.2, abs=0.04)
    assert np.array_equal(lose_packets(waveform, np.random.default_rng(0), 0.0, 100), waveform)


def test_a_gate_closes_between_words_and_leaves_them_alone(speech):
    found = gate(speech, RATE, -30.0)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[:RATE], speech[:RATE])
    np.testing.assert_array_equal(found[2 * RATE :], speech[2 * RATE :])
    quiet = found[RATE : 2 * RATE]
    assert not quiet[round(0.1 * RATE) :].any()
    assert quiet[: round(0.08 * RATE)].any()  # it stays open for a moment
    np.testing.assert_array_equal(gate(speech, RATE, -50.0), speech)


@pytest.mark.parametrize("samples", [0, 1, 319, 321])
def test_effects_of_any_length(samples):
    waveform, rng = np.full(samples, 0.5, np.float32), np.random.default_rng(0)
    if samples:
        assert gate(waveform, RATE, -20.0).shape == (samples,)
        assert not gate(0 * waveform, RATE, -20.0).any()
    assert lose_packets(waveform, rng, 0.5, 100).shape == (samples,)
    assert add_faint_noise(waveform, rng, -60.0).shape == (samples,)


def test_noise_has_the_level_that_was_asked():
    noise = add_faint_noise(np.zeros(RATE, np.float32), np.random.default_rng(0), -60.0)
    assert noise.dtype == np.float32
    assert 10 * np.log10(np.mean(np.square(noise, dtype=np.float64))) == pytest.approx(-60, abs=0.2)


# In the chain


def test_hiss_fills_what_a_gate_left_and_packets_and_muting_are_never_filled(speech):
    gated = chain(gate={"probability": 1, "threshold_db": [-30, -30]})(speech)
    assert not gated[round(1.2 * RATE) : 2 * RATE].any()
    filled = chain(gate={"probability": 1, "threshold_db": [-30, -30]}, hiss={"probability": 1, "dbfs": [-70, -70]})(
        speech
    )
    assert np.std(filled[round(1.2 * RATE) : 2 * RATE]) == pytest.approx(10 ** (-70 / 20), rel=0.1)
    lost = chain(hiss=1.0, packets={"probability": 1, "share": [0.5, 0.5], "seconds": [0.02, 0.02]})(speech)
    assert np.mean(lost == 0) == pytest.approx(0.5, abs=0.15)
    muted = chain(hiss=1.0, mute={"probability": 1, "share": [0.25, 0.25]})(speech)
    assert np.mean(muted == 0) == pytest.approx(0.25, abs=0.01)


def test_either_end_is_muted(speech):
    silent = {(found[0] == 0, found[-1] == 0) for found in (chain(mute=1.0)(speech, seed) for seed in range(20))}
    assert silent == {(True, False), (False, True)}


@pytest.mark.parametrize("effect", ["gate", "hiss", "packets", "mute"])
def test_each_effect_is_a_function_of_its_draws_alone(speech, effect):
    once, again, other = (chain(**{effect: 1.0})(speech, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(once, again)
    assert once.shape == speech.shape
    assert once.dtype == np.float32
    if effect != "gate":
        assert not np.array_equal(once, other)
    np.testing.assert_array_equal(chain(**{effect: 0.0})(speech), speech)


@pytest.mark.parametrize(
    ("effect", "wrong"),
    [
        ("packets", {"share": [0, 1.5]}),
        ("packets", {"seconds": [0, 0.1]}),
        ("mute", {"share": [0.1, 1.0]}),
        ("hiss", {"dbfs": [-50, -90]}),
    ],
)
def test_limits_of_effects(effect, wrong):
    with pytest.raises(BadConfig, match=r"leaves what is possible|wrong way round"):
        Augment.parse({effect: wrong}, "test")
