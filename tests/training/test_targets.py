"""What a teacher says of the training speech: right, in its place, computed once, and found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acanet.data.augment.voices import Voice
from acanet.data.feed.batches import Batch
from acanet.data.feed.cache import build_cache
from acanet.data.feed.whole import whole_in
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadConfig
from acanet.runtime.bundle import Bundle, Provenance, write_bundle
from acanet.training import targets
from acanet.training.targets import CropTeacher, UtteranceTeacher, open_teacher, utterance_targets

RATE, VOICES = 16000, (Voice(0.9), Voice(formants=1.2))


@pytest.fixture(scope="module")
def bundle(tiny_bundle):
    return Bundle.load(tiny_bundle)


@pytest.fixture(scope="module")
def network(bundle):
    return open_teacher(bundle, RATE)


@pytest.fixture(scope="module")
def audio(voices, tmp_path_factory):
    utterances = [Utterance(file.name, file, "", file.name) for file in sorted(voices.rglob("*.wav"))[:7]]
    return build_cache(utterances, tmp_path_factory.mktemp("audio"), RATE, 0)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(targets, "_SHARD", 3)


@pytest.fixture
def heard(network, monkeypatch):
    """What a teacher in this process hears from now on; it is interrupted where there is no more room in it."""

    class Heard(list):
        most = 1000
        rate, dim = network.rate, network.dim

        def embed_waveforms(self, waveforms):
            if len(self) >= self.most:
                raise KeyboardInterrupt
            self.extend(waveforms)
            return network.embed_waveforms(waveforms)

    heard = Heard()
    monkeypatch.setattr(targets, "_network", lambda folder: heard)
    return heard


def test_targets_are_the_teachers_embeddings_in_every_voice(bundle, network, audio, tmp_path):
    table = utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    assert (table.shape, table.dtype) == ((7, 3, network.dim), np.float32)
    for utterance in (0, 6):
        own, slower, other = whole_in(audio, utterance, RATE, VOICES)
        assert len(own) == len(other) == audio.samples(utterance)
        assert len(slower) == pytest.approx(audio.samples(utterance) / 0.9, abs=2)
        np.testing.assert_allclose(table[utterance], network.embed_waveforms([own, slower, other]), atol=1e-6)


def test_they_are_computed_once(bundle, audio, tmp_path, heard):
    first = utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    assert len(heard) == 7 * 3
    heard.clear()
    np.testing.assert_array_equal(utterance_targets(bundle, audio, VOICES, tmp_path, 0), first)
    assert not heard


def test_several_processes_compute_the_same(bundle, audio, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "_SHARD", 1)
    monkeypatch.setattr("acanet.data.parallel._CHUNK", 1)
    one, several = (utterance_targets(bundle, audio, VOICES, tmp_path / str(count), count) for count in (0, 2))
    np.testing.assert_array_equal(one, several)


def test_what_was_interrupted_goes_on_where_it_was(bundle, audio, tmp_path, heard):
    heard.most = 9
    with pytest.raises(KeyboardInterrupt):
        utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    heard.clear()
    heard.most = 1000
    whole = utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    assert len(heard) == 4 * 3  # of the seven utterances, a shard of three was done
    np.testing.assert_array_equal(whole, utterance_targets(bundle, audio, VOICES, tmp_path / "elsewhere", 0))


@pytest.mark.parametrize("other", ["teacher", "voices", "audio"])
def test_another_teacher_other_voices_and_other_audio_have_targets_of_their_own(bundle, audio, tmp_path, heard, other):
    utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    heard.clear()
    weights = bundle.weights()
    weights["aggregator.latents"] = weights["aggregator.latents"] + np.float32(0.01)
    write_bundle(tmp_path / "another", bundle.config, weights, Provenance(), "# Another")
    changed = {
        "teacher": (Bundle.load(tmp_path / "another"), audio, VOICES),
        "voices": (bundle, audio, (Voice(0.9), Voice(formants=1.1))),
        "audio": (bundle, replace(audio, hashes=("new", *audio.hashes[1:])), VOICES),
    }
    utterance_targets(*changed[other], tmp_path, 0)
    assert len(heard) == (3 if other == "audio" else 7) * 3  # of other audio, the shard that it is in


def batch(utterances, voices, clean=None):
    rows = np.zeros((len(utterances), 10), np.float32)
    return Batch(rows, np.zeros(len(utterances), np.int64), np.array(utterances), np.array(voices), clean)


def test_each_crop_gets_the_target_of_its_utterance_and_voice(bundle, audio, tmp_path):
    table = utterance_targets(bundle, audio, VOICES, tmp_path, 0)
    said = UtteranceTeacher(table).targets(batch([4, 0, 4], [0, 2, 1]))
    np.testing.assert_array_equal(said, np.stack([table[4, 0], table[0, 2], table[4, 1]]))


def test_a_teacher_of_crops_hears_them_clean(network, audio):
    clean = np.stack([audio.read(utterance, 0, 16000) for utterance in (1, 2)])
    said = CropTeacher(network).targets(batch([1, 2], [0, 0], clean))
    np.testing.assert_array_equal(said, network.embed_waveforms(list(clean)))


def test_a_teacher_that_hears_another_rate_is_refused(bundle):
    with pytest.raises(BadConfig, match=r"hears 16,000 Hz, .* 8,000 Hz"):
        open_teacher(bundle, 8000)
