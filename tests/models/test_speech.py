"""Models to which what is not speech does not count: silence changes nothing, in every way that they are run."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.errors import BadConfig, ModelMismatch
from acanet.models.base import floor
from acanet.models.folding import fold
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.registry import build_model, model_config, saved_config
from acanet.models.speech import SpeechNetwork, Taught, counts, step_counts
from acanet.runtime.front_end import FrontEndConfig
from acanet.speech.steps import AFTER, BEFORE, HOP, STEP
from support.networks import in_pieces, padded, small

RATE = 16000
MODELS = ["acanet2", "acanet2-small", "acanet2-large"]
DEAF = {"floor_db": None, "speech_only": False}
CHANGED = {"rate": 8000, "window_ms": 20.0, "hop_ms": 12.5, "mels": 40, "low_hz": 60.0, "high_hz": 7600.0}


def zeros(seconds):
    return np.zeros(round(seconds * RATE), np.float32)


@pytest.fixture(scope="module")
def voice():
    """Two seconds of a voice, with as much silence around it as a step of speech sees, and a frame of the network."""
    speech = synthesise(SyntheticVoice.draw(0, 0), 2.0, (0, 0), RATE)
    return np.concatenate([zeros(3.2), speech, zeros(1)])


def heard(model, waveform):
    with torch.no_grad():
        embedding, speech = model.hear(torch.from_numpy(waveform)[None])
    return embedding[0].numpy(), speech[0].numpy()


# Silence


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("seconds", [0.32, 3.2, 30.0])
def test_silence_before_or_after_changes_nothing(name, voice, seconds):
    model, quiet = small(name), zeros(seconds)
    alone, speech = heard(model, voice)
    assert speech.max() > 0.9
    before, moved = heard(model, np.concatenate([quiet, voice]))
    after, _ = heard(model, np.concatenate([voice, quiet]))
    np.testing.assert_allclose(before, alone, rtol=0, atol=1e-4)
    np.testing.assert_allclose(after, alone, rtol=0, atol=1e-4)
    np.testing.assert_allclose(moved[-len(speech) + BEFORE :], speech[BEFORE:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("seconds", [0.3, 1.234, 7.77])
def test_silence_of_no_whole_number_of_steps_changes_next_to_nothing(voice, seconds):
    """After a voice nothing; before it, the steps begin elsewhere."""
    model, quiet = small("acanet2"), zeros(seconds)
    alone, _ = heard(model, voice)
    np.testing.assert_allclose(heard(model, np.concatenate([voice, quiet]))[0], alone, rtol=0, atol=1e-4)
    assert heard(model, np.concatenate([quiet, voice]))[0] @ alone > 0.999


def test_silence_counts_for_a_model_that_hears_all(voice):
    """Else the tests above would say nothing."""
    model = small("acanet2", front_end=DEAF)
    with torch.no_grad():
        short, long = (model.embed(torch.from_numpy(x)[None]) for x in (voice, np.concatenate([voice, zeros(3.2)])))
    assert (short - long).abs().max() > 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_rows_of_a_padded_batch_folded_or_not_are_as_alone(name, voice):
    model = small(name)
    utterances = [voice, voice[48000:], voice[48000:70001], np.concatenate([voice, zeros(2.5)]), zeros(1)]
    alone = np.stack([heard(model, utterance)[0] for utterance in utterances])
    batch, lengths = padded(utterances)
    for each in (model, fold(model)):
        with torch.no_grad():
            together, speech = each.hear(batch, lengths)
        np.testing.assert_allclose(together.numpy(), alone, rtol=0, atol=1e-4)
        first = heard(model, utterances[0])[1]
        np.testing.assert_allclose(speech[0, : len(first)].numpy(), first, rtol=0, atol=1e-4)
    np.testing.assert_allclose(embed_waveforms(model, utterances), alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("piece", [8, 300])
def test_pieces_with_silence_between_blocks_are_the_whole(name, voice, piece):
    model = small(name)
    waveform = np.concatenate([voice, zeros(30.0), 0.1 * voice])
    with in_pieces(fold(model), piece) as pieces:
        for block in np.array_split(waveform, 7):
            pieces.feed(block)
        found, speech = pieces.embedding(), pieces.speech()
    whole, expected = heard(model, waveform)
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-4)
    np.testing.assert_allclose(speech, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("waveform", [zeros(0.025), zeros(0.5), zeros(40.0)], ids=["a window", "half a second", "40 s"])
def test_where_nobody_talks_all_counts(waveform):
    model = small("acanet2")
    embedding, speech = heard(model, waveform)
    assert speech.max() < 0.25
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-5)
    with in_pieces(fold(model), 40) as pieces:
        pieces.feed(waveform)
        np.testing.assert_allclose(pieces.embedding(), embedding, rtol=0, atol=1e-3)  # all of it is rounding
    features = model.front_end.hear(torch.from_numpy(waveform)[None])
    assert features.counts.eq(1).all()


# How much frames count, and the floor


def test_steps_count_between_two_probabilities():
    assert step_counts(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0])).tolist() == [0, 0, 0.5, 1, 1]


def test_all_real_frames_count_where_nobody_talks_and_none_that_is_padded():
    speech = torch.tensor([[0.5, 0.1, 0.9], [0.1, 0.2, 0.9], [0.2, 0.2, 0.2]])
    found = counts(speech, 10, torch.tensor([10, 7, 6]))
    half = [0.5] * STEP + [0] * STEP + [1] * 2
    assert found.tolist() == [half, [1] * 7 + [0] * 3, [1] * 6 + [0] * 4]
    assert counts(speech[:1], 10, None).tolist() == [half]
    assert counts(speech[2:], 10, None).tolist() == [[1] * 10]


def test_the_floor_lies_below_the_mean_power_of_what_counts():
    powers = torch.tensor([[[1.0, 3.0], [10.0, 30.0], [1e6, 1e6]]])
    spoken = torch.tensor([[1.0, 0.5, 0.0]])  # (2 + 0.5 * 20) / 1.5 = 8
    assert floor(powers.log(), spoken, 20.0).exp().tolist() == pytest.approx([0.08])


def test_no_feature_falls_under_the_floor(voice):
    front_end = KaldiFrontEnd(floor_db=30.0, remove_mean=False).build()
    with torch.no_grad():
        raw = front_end.features(torch.from_numpy(voice)[None])
        found = front_end.hear(torch.from_numpy(voice)[None])
    assert found.counts is None  # the floor alone leaves all frames in the mean and under the attention
    assert found.values.min() > raw.min() + 1
    assert torch.equal(found.values, raw.clamp(min=found.values.min()))
    assert found.inputs == (found.values, None)


# The network


def test_a_step_sees_as_far_as_the_run_time_takes_it_to():
    torch.manual_seed(0)
    network = Taught()
    features = torch.randn(1, STEP * (BEFORE + AFTER + 40), 80).requires_grad_()
    network(features)[0, BEFORE + 20].backward()
    seen = (features.grad[0].abs().sum(dim=1).nonzero().flatten() // STEP - (BEFORE + 20)).tolist()
    assert seen[0] >= -BEFORE
    assert seen[-1] <= AFTER


def test_level_does_not_matter(voice):
    network, front_end = Taught(), KaldiFrontEnd().build()
    with torch.no_grad():
        loud, faint = (network(front_end.features(torch.from_numpy(gain * voice)[None])) for gain in (1, 0.1))
    torch.testing.assert_close(loud, faint, atol=1e-3, rtol=0)


def test_a_training_step_leaves_it_as_it_was_taught(voice):
    model = small("acanet2").train()
    assert not model.front_end.speech.training
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    features = model.front_end.hear(torch.from_numpy(np.stack([voice, voice[::-1].copy()])))
    model(*features.inputs).square().sum().backward()
    optimizer.step()
    taught = [name for name in before if name.startswith("front_end.speech.")]
    assert taught
    assert all(model.get_parameter(name).grad is None for name, _ in model.named_parameters() if name in taught)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in taught)
    assert not any(
        torch.equal(value, before[name]) for name, value in model.named_parameters() if value.grad is not None
    )
    assert all(parameter.requires_grad for parameter in SpeechNetwork().parameters())  # which is taught by itself


# Configs


@pytest.mark.parametrize(
    "listens", [{"floor_db": 45.0}, {"speech_only": True}, {"floor_db": 45.0, "speech_only": True}]
)
@pytest.mark.parametrize("key", CHANGED)
def test_other_features_than_it_was_taught_on_are_refused(key, listens):
    with pytest.raises(BadConfig, match=f"need the features that speech is found in: {key} "):
        KaldiFrontEnd.parse({key: CHANGED[key], **listens}, "test")
    assert not KaldiFrontEnd.parse({key: CHANGED[key]}, "test").hears_speech


def test_speech_alone_needs_frames_that_are_local_and_no_wider_than_a_step():
    with pytest.raises(BadConfig, match="speech_only needs frames that are local in time, not 'ecapa'"):
        model_config("ecapa-512", {"front_end": {"speech_only": True}})
    assert model_config("ecapa-512", {"front_end": {"floor_db": 45.0}}).front_end.hears_speech
    stages = [{"channels": 4, "stride": 2}, {"channels": 4, "stride": 4}]
    with pytest.raises(BadConfig, match="speech_only needs frames with a stride of 4 or less, not 8"):
        model_config("acanet2", {"frames": {"stages": stages}})
    assert model_config("acanet2", {"frames": {"stages": stages}, "front_end": DEAF}).frames.receptive_field.stride == 8


def test_a_front_end_that_does_not_listen_is_written_as_ever():
    """Else the fingerprints of models from before would be others."""
    for config in (FrontEndConfig(), KaldiFrontEnd(), KaldiFrontEnd(**DEAF)):
        assert list(config.model_dump()) == [
            "kind", "rate", "window_ms", "hop_ms", "mels", "low_hz", "high_hz", "remove_mean"
        ]  # fmt: skip
    written = model_config("acanet2").model_dump(mode="json")["front_end"]
    assert (written["floor_db"], written["speech_only"]) == (45.0, True)
    assert "floor_db" not in json.loads(model_config("acanet2", {"front_end": DEAF}).as_json())["front_end"]
    told = FrontEndConfig.of_bundle(written, "config.json")
    assert (told.hears_speech, told.floor_db, told.speech_only) == (True, 45.0, True)


# Models from before


@pytest.mark.parametrize("changes", [{}, {"mels": 40}])
def test_a_model_from_before_loads_as_it_was(voice, changes):
    """Its config says nothing of speech, and the registered one of today does."""
    old = small("acanet2", front_end=DEAF | changes)
    config = old.config.model_dump(mode="json")
    weights = {name: value.numpy() for name, value in old.state_dict().items()}
    assert not any("speech" in name for name in weights)
    loaded = load_model("acanet2", config, weights)
    assert loaded.front_end.speech is None
    assert saved_config("acanet2", config) == old.config
    np.testing.assert_array_equal(embed_waveforms(loaded, [voice]), embed_waveforms(old, [voice]))


def test_a_model_of_now_brings_what_finds_speech(voice):
    model = small("acanet2")
    config, weights = model.config.model_dump(mode="json"), {k: v.numpy() for k, v in model.state_dict().items()}
    np.testing.assert_array_equal(
        embed_waveforms(load_model("acanet2", config, weights), [voice]), embed_waveforms(model, [voice])
    )
    with pytest.raises(ModelMismatch, match=r"lack front_end\.speech\."):
        load_model("acanet2", config, {k: v for k, v in weights.items() if "speech" not in k})
    assert build_model("acanet2").front_end.speech is not None
    assert HOP * STEP / RATE == 0.04
