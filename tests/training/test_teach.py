"""The network that finds speech, taught from end to end on a few synthetic voices."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import yaml

from acanet.audio.recording import read_audio
from acanet.data.augment.chain import Banks
from acanet.data.augment.effects import Augment
from acanet.data.feed.cache import build_cache
from acanet.data.lists.manifest import read_recordings
from acanet.errors import AcanetError
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.speech import SpeechNetwork
from acanet.runtime.sessions import Sessions
from acanet.training.speech.crops import SpeechCrops, Taught
from acanet.training.speech.teacher import CHUNK, RATE, probabilities
from support.commands import acanet

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def manifest(voices, tmp_path_factory):
    """Two recordings, of which nobody says who talks."""
    path = tmp_path_factory.mktemp("lists") / "speech.jsonl"
    files = [voices / "s000" / "000.wav", voices / "s001" / "001.wav"]
    path.write_text("".join(json.dumps({"path": str(file)}) + "\n" for file in files), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def taught(manifest, tmp_path_factory):
    audio = build_cache(read_recordings(manifest), tmp_path_factory.mktemp("cache"), RATE, 0)
    return Taught(audio, [probabilities(audio.read(number, 0, audio.samples(number))) for number in range(2)])


def crops(taught, **changes):
    sizes = {"batch": 6, "seconds": 2.0, "steps": 4, "seed": 0, "sounds": 0.5} | changes
    return SpeechCrops(taught, Augment(), Banks(), None, **sizes)


def write(path, manifest, **changes):
    keys = {"speech": [str(manifest)], "cache": "cache", "augment": {"noise": 0.5}, "batch": 4, "crop_seconds": 1.0}
    path.write_text(yaml.safe_dump(keys | {"steps": 3, "workers": 0} | changes), encoding="utf-8")
    return path


@pytest.mark.slow
def test_it_is_taught_and_written_from_end_to_end(manifest, voices, tmp_path):
    answer = acanet("teach", write(tmp_path / "recipe.yaml", manifest), "-o", tmp_path / "network")
    assert (answer.code, answer.out) == (0, f"the network is in {tmp_path / 'network'}\n"), answer.err
    names = {"weights.npz", "speech-features.onnx", "speech.onnx"}
    assert {path.name for path in (tmp_path / "network").iterdir()} == names
    network = SpeechNetwork()
    with np.load(tmp_path / "network" / "weights.npz") as file:
        network.load_state_dict({name: torch.from_numpy(file[name]) for name in file.files})
    assert network.stem_norm.num_batches_tracked == 3
    waveform = read_audio(voices / "s002" / "000.wav")[0][None]
    with torch.no_grad():
        features = KaldiFrontEnd().build().features(torch.from_numpy(waveform))
        speech = network.eval()(features)
    sessions = Sessions(tmp_path / "network", lambda path, reason: AcanetError(f"{path}: {reason}"))
    (found,) = sessions.run("speech-features", waveforms=waveform)
    np.testing.assert_allclose(found, features.numpy(), rtol=0, atol=1e-3)
    np.testing.assert_allclose(sessions.run("speech", features=found)[0], speech.numpy(), rtol=0, atol=1e-3)


def test_a_rate_that_is_too_high_writes_nothing(manifest, tmp_path):
    recipe = write(tmp_path / "recipe.yaml", manifest, rate=1e30)
    answer = acanet("teach", recipe, "-o", tmp_path / "network")
    assert answer.code == 2
    assert "try a lower `rate` than 1e+30" in " ".join(answer.err.split())
    assert not (tmp_path / "network").exists()


def test_a_key_that_there_is_not_is_refused(manifest, tmp_path):
    answer = acanet("teach", write(tmp_path / "recipe.yaml", manifest, noize="a"), "-o", tmp_path / "network")
    assert answer.code == 2
    assert "did you mean 'noise'" in answer.err


def test_the_teacher_hears_voices_at_any_level_and_nobody_in_silence(taught):
    waveform = taught.audio.read(0, 0, taught.audio.samples(0))
    loud, faint = probabilities(waveform), probabilities(0.01 * waveform)
    assert loud.shape == (-(-len(waveform) // CHUNK),)
    assert loud.max() > 0.5
    np.testing.assert_allclose(faint, loud, rtol=0, atol=0.1)
    assert not probabilities(np.zeros(10 * CHUNK, np.float32)).any()
    assert probabilities(np.zeros(0, np.float32)).shape == (0,)


def test_a_batch_is_a_function_of_seed_and_step(taught):
    waveforms, spoken = crops(taught)[2]
    assert waveforms.shape == (6, 2 * RATE)
    assert spoken.shape == (6, 50)
    assert (waveforms.dtype, spoken.dtype) == (np.float32, np.float32)
    assert np.abs(waveforms).max() <= 1
    assert 0 <= spoken.min() <= spoken.max() <= 1
    for same, (again, told) in ((True, crops(taught)[2]), (False, crops(taught)[1]), (False, crops(taught, seed=1)[2])):
        assert np.array_equal(waveforms, again) == same
        assert np.array_equal(spoken, told) == same
    with pytest.raises(IndexError):
        crops(taught)[4]


def test_nobody_speaks_in_sounds(taught):
    assert not any(crops(taught, sounds=1.0)[step][1].any() for step in range(4))
    assert np.mean([crops(taught, sounds=0.0)[step][1] for step in range(4)]) > 0.2
