"""What a teacher says of the training speech: right, in its place, computed once, and found again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from acanet.data.feed.batches import Batch
from acanet.data.feed.cache import build_cache
from acanet.data.feed.whole import whole_at
from acanet.data.lists.manifest import Utterance
from acanet.errors import BadConfig
from acanet.runtime.bundle import Bundle
from acanet.training import targets
from acanet.training.targets import CropTeacher, UtteranceTeacher, open_teacher, utterance_targets

RATE, SPEEDS = 16000, (0.9, 1.1)


@pytest.fixture(scope="module")
def teacher(tiny_bundle):
    return open_teacher(Bundle.load(tiny_bundle), RATE, threads=1)


@pytest.fixture(scope="module")
def audio(voices, tmp_path_factory):
    utterances = [Utterance(file.name, file, "", file.name) for file in sorted(voices.rglob("*.wav"))[:7]]
    return build_cache(utterances, tmp_path_factory.mktemp("audio"), RATE, 0)


class Counting:
    """A network that counts what it hears."""

    def __init__(self, network, most=1000):
        self.network, self.rate, self.dim, self.heard, self.most = network, network.rate, network.dim, 0, most

    def embed_waveforms(self, waveforms):
        if self.heard >= self.most:
            raise KeyboardInterrupt
        self.heard += len(waveforms)
        return self.network.embed_waveforms(waveforms)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(targets, "_SHARD", 3)


def test_targets_are_the_teachers_embeddings_at_every_speed(teacher, audio, tmp_path):
    table = utterance_targets(teacher, "print", audio, SPEEDS, tmp_path)
    assert (table.shape, table.dtype) == ((7, 3, teacher.dim), np.float32)
    for utterance in (0, 6):
        np.testing.assert_allclose(
            table[utterance], teacher.embed_waveforms(whole_at(audio, utterance, RATE, SPEEDS)), atol=1e-6
        )
    faster = whole_at(audio, 0, RATE, SPEEDS)[2]
    assert len(faster) == pytest.approx(audio.samples(0) / 1.1, abs=2)


def test_they_are_computed_once(teacher, audio, tmp_path):
    first = utterance_targets(teacher, "print", audio, SPEEDS, tmp_path)
    again = Counting(teacher)
    np.testing.assert_array_equal(utterance_targets(again, "print", audio, SPEEDS, tmp_path), first)
    assert again.heard == 0


def test_what_was_interrupted_goes_on_where_it_was(teacher, audio, tmp_path):
    stopped = Counting(teacher, most=9)
    with pytest.raises(KeyboardInterrupt):
        utterance_targets(stopped, "print", audio, SPEEDS, tmp_path)
    goes_on = Counting(teacher)
    whole = utterance_targets(goes_on, "print", audio, SPEEDS, tmp_path)
    assert goes_on.heard == 4 * 3  # of the seven utterances, a shard of three was done
    np.testing.assert_array_equal(whole, utterance_targets(teacher, "print", audio, SPEEDS, tmp_path / "elsewhere"))


@pytest.mark.parametrize("other", ["print", "speeds", "audio"])
def test_another_teacher_other_speeds_and_other_audio_have_targets_of_their_own(teacher, audio, tmp_path, other):
    utterance_targets(teacher, "print", audio, SPEEDS, tmp_path)
    again = Counting(teacher)
    changed = {
        "print": ("another", audio, SPEEDS),
        "speeds": ("print", audio, (0.9, 1.2)),
        "audio": ("print", replace(audio, hashes=("new", *audio.hashes[1:])), SPEEDS),
    }
    utterance_targets(again, *changed[other], tmp_path)
    assert again.heard == (3 if other == "audio" else 7) * 3  # of other audio, the shard that it is in


def batch(utterances, speeds, clean=None):
    rows = np.zeros((len(utterances), 10), np.float32)
    return Batch(rows, np.zeros(len(utterances), np.int64), np.array(utterances), np.array(speeds), clean)


def test_each_crop_gets_the_target_of_its_utterance_and_speed(teacher, audio, tmp_path):
    table = utterance_targets(teacher, "print", audio, SPEEDS, tmp_path)
    said = UtteranceTeacher(table).targets(batch([4, 0, 4], [0, 2, 1]))
    np.testing.assert_array_equal(said, np.stack([table[4, 0], table[0, 2], table[4, 1]]))


def test_a_teacher_of_crops_hears_them_clean(teacher, audio):
    clean = np.stack([audio.read(utterance, 0, 16000) for utterance in (1, 2)])
    said = CropTeacher(teacher).targets(batch([1, 2], [0, 0], clean))
    np.testing.assert_array_equal(said, teacher.embed_waveforms(list(clean)))


def test_a_teacher_that_hears_another_rate_is_refused(tiny_bundle):
    with pytest.raises(BadConfig, match=r"hears 16,000 Hz, .* 8,000 Hz"):
        open_teacher(Bundle.load(tiny_bundle), 8000, threads=1)
