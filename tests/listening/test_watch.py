"""Decisions as speech comes in: from a pipe, a microphone, up to the end or Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from itertools import pairwise
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile

from acanet.audio.quality import AudioWarning
from acanet.data.synthetic import SyntheticVoice, synthesise
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadAudio, MissingExtra, NoSpeech
from acanet.listening.sources import microphone, pcm, until_interrupted
from acanet.listening.watch import watch
from support.blocks import cut
from support.commands import acanet

RATE = 16000


def voice(speaker, take, seconds=4.0):
    return synthesise(SyntheticVoice.draw(5, speaker), seconds, [5, speaker, take]).astype(np.float32)


@pytest.fixture(scope="module")
def encoder():
    return Encoder.load()


@pytest.fixture(scope="module")
def enrolment(tmp_path_factory):
    path = tmp_path_factory.mktemp("watch") / "enrolment.wav"
    soundfile.write(path, voice(1, 0), RATE)
    return path


def raw(samples):
    return (samples * 32767).astype("<i2").tobytes()


def piped(monkeypatch, held):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(held), isatty=lambda: False))


# Moments


def test_moments_come_at_intervals_and_the_last_is_of_the_whole(encoder, enrolment):
    talk = voice(1, 1, 4.3)
    moments = list(watch(encoder, encoder.hear(enrolment), cut(talk, [800]), rate=RATE, every=1.0))
    assert [moment.seconds for moment in moments] == [1.0, 2.0, 3.0, 4.0, 4.3]
    assert [moment.last for moment in moments] == [False] * 4 + [True]
    assert all(before.speech < after.speech for before, after in pairwise(moments[:-1]))
    want = encoder.verify(enrolment, talk)
    assert moments[-1].verification.score == pytest.approx(want.score, abs=1e-4)
    assert moments[-1].verification.llr == pytest.approx(want.llr, abs=0.3)
    assert moments[-1].verification.test_speech == moments[-1].speech


def test_moments_lie_further_apart_the_more_was_heard(encoder, enrolment):
    talk = np.tile(voice(1, 1), 13)
    moments = watch(encoder, encoder.hear(enrolment), cut(talk, [800]), rate=RATE, every=2.0, threshold=0.5)
    seconds = np.array([moment.seconds for moment in moments])
    gaps = np.diff(seconds)[:-1]
    assert gaps[0] == pytest.approx(2.0)
    assert gaps[-1] == pytest.approx(0.05 * seconds[-3], abs=0.06)


def test_before_there_is_enough_speech_nothing_is_decided(encoder, enrolment):
    talk = np.concatenate([np.zeros(2 * RATE, np.float32), voice(1, 1)])
    first, second, *_ = watch(encoder, encoder.hear(enrolment), cut(talk, [1600]), rate=RATE)
    assert (first.speech, first.verification) == (0.0, None)
    assert second.verification is None
    silent = watch(encoder, encoder.hear(enrolment), [np.zeros(RATE, np.int16)], rate=RATE, every=0.5)
    next(silent)
    with pytest.raises(NoSpeech):
        next(silent)


def test_nothing_at_all_is_told_as_such(encoder, enrolment):
    with pytest.raises(NoSpeech, match="mic: nothing came"):
        next(watch(encoder, encoder.hear(enrolment), [], rate=RATE, name="mic"))


# Sources


def test_a_pipe_is_read_to_its_end():
    samples = np.arange(-2000, 2001, dtype="<i2")
    blocks = list(pcm(io.BytesIO(samples.tobytes()), 8000))
    assert [len(block) for block in blocks] == [800] * 5 + [1]
    np.testing.assert_array_equal(np.concatenate(blocks), samples)
    with pytest.warns(AudioWarning, match="-: it ends amid a sample"):
        blocks = list(pcm(io.BytesIO(samples.tobytes() + b"\0"), 8000))
    np.testing.assert_array_equal(np.concatenate(blocks), samples)


@pytest.mark.parametrize("kind", ["wav", "rf64", "flac", "ogg", "aiff", "caf", "nist"])
def test_a_pipe_that_holds_a_file_is_refused(kind):
    file = io.BytesIO()
    soundfile.write(file, voice(1, 1), RATE, format=kind, subtype="VORBIS" if kind == "ogg" else "PCM_16")
    file.seek(0)
    with pytest.raises(
        BadAudio, match=rf"-: the pipe holds a file \({'wav' if kind == 'rf64' else kind}\)(?i:.*s16le)"
    ):
        next(pcm(file, RATE))


@pytest.mark.parametrize(
    ("head", "kind"), [(b"ID3\4", "mp3"), (b"\0\0\0\nftypM4A ", "mp4"), (b"\x1a\x45\xdf\xa3", "webm")]
)
def test_so_is_one_of_what_soundfile_does_not_write(head, kind):
    with pytest.raises(BadAudio, match=kind):
        next(pcm(io.BytesIO(head + bytes(100)), RATE))


def test_an_interrupt_ends_the_blocks_and_no_work():
    before, seen = signal.getsignal(signal.SIGINT), []

    def endless():
        while True:
            yield len(seen)

    for block in until_interrupted(endless()):
        if block == 3:
            os.kill(os.getpid(), signal.SIGINT)
        seen.append(block)
    assert seen == [0, 1, 2, 3]

    def interrupted_while_waiting():
        yield 1
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    assert list(until_interrupted(interrupted_while_waiting())) == [1]
    assert signal.getsignal(signal.SIGINT) is before


def fake_sounddevice(monkeypatch, fail=False):
    class PortAudioError(Exception):
        pass

    class InputStream:
        def __init__(self, samplerate, blocksize, *, channels, dtype, callback):
            if fail:
                raise PortAudioError("invalid sample rate")
            assert (channels, dtype) == (1, "int16")
            self.size, self.callback = blocksize, callback

        def __enter__(self):
            buffer = np.zeros((self.size, 1), np.int16)
            for number in range(3):
                buffer[:] = number  # PortAudio takes it back
                self.callback(buffer, self.size, None, None)

        def __exit__(self, *_):
            pass

    module = ModuleType("sounddevice")
    module.InputStream, module.PortAudioError = InputStream, PortAudioError
    monkeypatch.setitem(sys.modules, "sounddevice", module)


def test_a_microphone_gives_blocks(monkeypatch):
    fake_sounddevice(monkeypatch)
    blocks = microphone(8000)
    for number in range(3):
        np.testing.assert_array_equal(next(blocks), np.full(800, number))
    blocks.close()


def test_a_microphone_that_is_not_there(monkeypatch):
    fake_sounddevice(monkeypatch, fail=True)
    with pytest.raises(AcanetError, match="no microphone at 8000 samples a second: invalid sample rate"):
        next(microphone(8000))
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtra, match="microphone"):
        next(microphone(8000))


# The command


@pytest.mark.parametrize(("speaker", "code"), [(1, 0), (2, 1)])
def test_the_last_decision_is_the_exit_code(enrolment, monkeypatch, speaker, code):
    piped(monkeypatch, raw(voice(speaker, 1)))
    answer = acanet("verify", enrolment, "-", "--watch", "--every", 2)
    assert answer.code == code
    lines = answer.out.splitlines()
    assert [line.split(" of speech: score ")[0].split(", ")[0] for line in lines[:2]] == ["2.0 s", "4.0 s"]
    assert lines[2].startswith("score ")
    assert lines[3].startswith("log-likelihood ratio ")


def test_all_speech_of_a_long_recording_is_counted(tmp_path, monkeypatch):
    long = np.concatenate([voice(1, take) for take in range(10)])
    enrolment = tmp_path / "long.wav"
    soundfile.write(enrolment, long, RATE)
    piped(monkeypatch, raw(long))
    *_, watched = acanet("verify", enrolment, "-", "--watch", "--every", 60).out.splitlines()
    *_, compared = acanet("verify", enrolment, enrolment).out.splitlines()
    assert re.fullmatch(r"speech: [\d.]+ s and [\d.]+ s", watched)
    counted = re.fullmatch(r"speech: ([\d.]+) s and \1 s", compared)
    assert counted
    assert float(counted[1]) > 20


def test_json_has_an_object_a_line(enrolment, monkeypatch, tiny_bundle):
    piped(monkeypatch, raw(voice(1, 1)))
    answer = acanet("verify", enrolment, "-", "--watch", "--json", "--threshold", 0.2, "--every", 1.5)
    first, *_, last = map(json.loads, answer.out.splitlines())
    assert (first["seconds"], first["same"]) == (1.5, True)
    assert 0.5 < first["speech"] < 1.5
    assert last["test"] == "-"
    assert answer.code == 0


def test_wrong_use(enrolment, monkeypatch, tiny_bundle):
    piped(monkeypatch, b"")
    for arguments, code, said in (
        (("-", "--watch"), 3, "error: -: nothing came"),
        ((enrolment, "--watch"), 2, "it is `-` or `mic`"),
        ((enrolment, "--rate", 8000), 2, "it is for --watch"),
        ((enrolment, "--every", 2), 2, "it is for --watch"),
        (("-",), 2, "add --watch"),
        (("mic",), 2, "add --watch"),
        (("-", "--watch", "--trim"), 2, "Invalid value for --trim"),
        (("-", "--watch", "-m", tiny_bundle), 2, "cannot embed speech as it comes"),
        (("-", "--watch", "--rate", 100), 2, "100 samples a second"),
    ):
        answer = acanet("verify", enrolment, *arguments)
        assert (answer.code, said in answer.err) == (code, True), answer.err
    for source in ("-", "mic"):
        answer = acanet("verify", source, enrolment)
        assert (answer.code, "it has to be a file" in answer.err) == (2, True), answer.err
    answer = acanet("embed", enrolment, "-o", enrolment.with_suffix(".npz"), "--windows", 1, "--trim")
    assert (answer.code, "Invalid value for --trim" in answer.err) == (2, True), answer.err
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    answer = acanet("verify", enrolment, "-", "--watch")
    assert (answer.code, "standard input is a terminal" in answer.err) == (2, True)


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_leaves_the_last_decision(enrolment):
    command = [sys.executable, "-m", "acanet", "verify", str(enrolment), "-", "--watch", "--json"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        running.stdin.write(raw(voice(1, 1)))
        running.stdin.flush()
        assert json.loads(running.stdout.readline())["seconds"] == 1.0
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "fingerprint" in json.loads(out.splitlines()[-1])
