"""An encoder in other processes, and what it heard in files: the same model, or an error."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from acanet.encoder import Encoder
from acanet.errors import AcanetError, ModelMismatch, NotCalibrated
from acanet.runtime.bundle import BUNDLES, Bundle
from acanet.scoring.heard import Heard
from support.calibrations import calibration


@pytest.fixture
def recording(voices: Path) -> Path:
    return voices / "s004" / "000.wav"


@pytest.mark.parametrize("model", ["small", "tiny"])
def test_a_copy_is_the_same_encoder(model: str, tiny_bundle: Path, recording: Path) -> None:
    encoder = Encoder.load(tiny_bundle if model == "tiny" else model, threads=1, trim=True)
    for other in (pickle.loads(pickle.dumps(encoder)), copy.deepcopy(encoder), copy.copy(encoder)):
        assert other.network is not encoder.network
        assert (other.trims, other.fingerprint) == (True, encoder.fingerprint)
        np.testing.assert_array_equal(other.embed(recording), encoder.embed(recording))


@pytest.mark.skipif("spawn" not in multiprocessing.get_all_start_methods(), reason="no spawn")
def test_processes_embed(recording: Path, voices: Path) -> None:
    encoder = Encoder.load("small")
    files = [recording, voices / "s005" / "000.wav"]
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        for found, file in zip(pool.map(encoder.embed, files), files, strict=True):
            np.testing.assert_allclose(found, encoder.embed(file), atol=1e-6)


def test_a_relative_folder_is_found_from_anywhere(
    tmp_path: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(BUNDLES / "small", tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    sent = pickle.dumps(Encoder.load("model"))
    monkeypatch.chdir("/")
    assert pickle.loads(sent).embed(recording).shape == (Encoder.load("small").dim,)


def test_a_bundle_that_was_changed_meanwhile_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "model")
    sent = pickle.dumps(Encoder.load(folder))
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"needed_speech_seconds": 0.5', '"needed_speech_seconds": 0.4'))
    with pytest.raises(ModelMismatch, match="now, want"):
        pickle.loads(sent)
    shutil.rmtree(folder)
    with pytest.raises(AcanetError, match="no model there"):
        pickle.loads(sent)


def test_an_encoder_of_parts_says_that_it_cannot_be_sent(tiny_bundle: Path) -> None:
    loaded = Encoder.load(tiny_bundle)
    with pytest.raises(AcanetError, match=r"was not made by `Encoder\.load`"):
        pickle.dumps(Encoder(loaded.bundle, loaded.network))


@pytest.mark.parametrize("threads", [2, 10**6])
def test_threads_are_no_more_than_processors(threads: int, recording: Path) -> None:
    encoder = Encoder.load("small", threads=threads)
    assert encoder.network._sessions._threads == min(threads, os.cpu_count() or 1)
    np.testing.assert_allclose(encoder.embed(recording), Encoder.load("small").embed(recording), atol=1e-5)
    assert len(list(encoder.embed_many([recording], workers=10**9))) == 1


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "2"])
def test_threads_and_workers_are_numbers(number: object, recording: Path) -> None:
    with pytest.raises(AcanetError, match="threads is "):
        Encoder.load("small", threads=number)
    with pytest.raises(AcanetError, match="workers is "):
        list(Encoder.load("small").embed_many([recording], workers=number))


# What was heard


def test_what_another_model_heard_is_never_compared(tiny_bundle: Path, recording: Path) -> None:
    encoders = [
        Encoder.load("default"),
        Encoder.load("small"),
        Encoder.load("small", trim=True),
        Encoder.load(tiny_bundle),
    ]
    heard = [encoder.hear(recording) for encoder in encoders]
    for encoder, own in zip(encoders, heard, strict=True):
        assert own.fingerprint == encoder.fingerprint
        assert encoder.compare(own, own).score == pytest.approx(1, abs=1e-6)
        for other in heard:
            if other is not own:
                for sides in ((own, other), (other, own), (other, other)):
                    with pytest.raises(ModelMismatch, match="this encoder's"):
                        encoder.compare(*sides, threshold=-1.0)


def test_what_was_heard_decides_as_the_recordings_do(voices: Path, tmp_path: Path) -> None:
    encoder = Encoder.load("small")
    files = voices / "s004" / "000.wav", voices / "s004" / "001.wav"
    for number, file in enumerate(files):
        encoder.hear(file).save(tmp_path / f"{number}.npz")
    kept = [Heard.load(tmp_path / f"{number}.npz") for number in range(2)]
    assert encoder.compare(*kept) == encoder.verify(*files)


def test_speech_that_was_not_counted_has_no_ratio(tiny_bundle: Path, recording: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "model")
    before = replace(Encoder.load(folder).hear(recording), speech=None)
    Bundle.load(folder).with_calibration(calibration(Bundle.load(folder).fingerprint))
    result = Encoder.load(folder).compare(before, before)
    assert result.llr is None
    with pytest.raises(NotCalibrated, match="hear it again"):
        bool(result)


@pytest.mark.filterwarnings("ignore::acanet.AudioWarning")
def test_warnings_are_of_their_side(voices: Path, tmp_path: Path) -> None:
    encoder = Encoder.load("small")
    samples, rate = soundfile.read(voices / "s004" / "000.wav")
    soundfile.write(tmp_path / "narrow.wav", soxr.resample(samples, rate, 8000), 8000)
    soundfile.write(tmp_path / "loud.wav", np.clip(samples * 30, -0.9, 0.9), rate)
    plain, narrow, loud = voices / "s004" / "000.wav", tmp_path / "narrow.wav", tmp_path / "loud.wav"
    result = encoder.verify(narrow, plain)
    assert (result.enrolment_warnings, result.test_warnings) == (("telephone",), ())
    result = encoder.verify(plain, loud)
    assert (result.enrolment_warnings, result.test_warnings) == ((), ("clipped",))
    encoder.hear(narrow).save(tmp_path / "narrow.npz")
    assert Heard.load(tmp_path / "narrow.npz").warnings == ("telephone",)
