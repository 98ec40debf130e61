"""Waveform -> log-mel: against Kaldi's own arithmetic, and what must hold for any waveform."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.models.layers import frame_mask
from acanet.models.parts.kaldi_fbank import KaldiFrontEnd
from acanet.models.parts.redimnet2_fbank import Redimnet2FrontEnd
from acanet.models.parts.speechbrain_fbank import SpeechbrainFrontEnd

KINDS = [KaldiFrontEnd(), KaldiFrontEnd(rate=8000, mels=40), SpeechbrainFrontEnd(low_hz=0), Redimnet2FrontEnd()]
KIND_NAMES = ["kaldi", "kaldi-8k", "speechbrain", "redimnet2"]


def noise(samples, level=0.1, seed=0):
    return level * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def kaldi(waveform, rate, mels):
    """(frames, mels) by kaldi_native_fbank."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = rate
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = mels
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(rate, (waveform * 32768).tolist())
    fbank.input_finished()
    return torch.from_numpy(np.stack([fbank.get_frame(i) for i in range(fbank.num_frames_ready)]))


@settings(max_examples=15, deadline=None)
@given(
    st.sampled_from([8000, 16000]),
    st.sampled_from([23, 40, 80]),
    st.floats(0.025, 0.5),
    st.floats(1e-3, 1.0),
    st.integers(0, 2**31),
)
def test_equals_kaldi(rate, mels, seconds, level, seed):
    waveform = noise(round(seconds * rate), level, seed).clamp(-1, 1)
    front_end = KaldiFrontEnd(rate=rate, mels=mels, remove_mean=False).build()
    features, lengths = front_end(waveform.unsqueeze(0))
    assert lengths is None
    torch.testing.assert_close(features[0], kaldi(waveform.numpy(), rate, mels), atol=1e-3, rtol=0)


@pytest.mark.parametrize("config", KINDS, ids=KIND_NAMES)
def test_a_padded_row_equals_itself_alone(config):
    front_end, lengths = config.build(), [5000, 1234, 400, 3999]
    rows = [noise(length, 0.1 * (1 + i), seed=i) for i, length in enumerate(lengths)]
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    features, frames = front_end(batch, torch.tensor(lengths))
    assert frames.tolist() == [front_end.frames(length) for length in lengths]
    for row, count, together in zip(rows, frames, features, strict=True):
        alone, _ = front_end(row.unsqueeze(0))
        torch.testing.assert_close(together[:count], alone[0], atol=1e-4, rtol=0)
        assert not together[count:].any()


@pytest.mark.parametrize("kind", [KaldiFrontEnd, SpeechbrainFrontEnd, Redimnet2FrontEnd])
def test_padded_frames_are_zero_without_mean_removal_too(kind):
    front_end = kind(remove_mean=False).build()
    features, frames = front_end(noise(3200).view(2, 1600), torch.tensor([1600, 800]))
    assert not features[1, frames[1] :].any()
    assert features[1, : frames[1]].all()


@pytest.mark.parametrize("config", KINDS, ids=KIND_NAMES)
def test_mean_is_taken_over_real_frames(config):
    batch = noise(2 * 4000).view(2, 4000)
    batch[1, 2000:] = 0
    features, frames = config.build()(batch, torch.tensor([4000, 2000]))
    for row, count in zip(features, frames, strict=True):
        assert row[:count].mean(dim=0).abs().max() < 1e-4
        assert row[:count].std(dim=0).min() > 0.1


def test_redimnet2_hears_neither_level_nor_offset():
    front_end, waveform = Redimnet2FrontEnd().build(), noise(8000).unsqueeze(0)
    torch.testing.assert_close(front_end(0.01 * waveform + 0.2)[0], front_end(waveform)[0], atol=1e-2, rtol=0)
    silence = Redimnet2FrontEnd(remove_mean=False).build()(torch.full((1, 8000), 0.3))[0]
    assert silence.isfinite().all()


def test_samples_after_the_end_do_not_matter():
    front_end, lengths = KaldiFrontEnd().build(), torch.tensor([4000, 1500])
    batch = noise(2 * 4000).view(2, 4000)
    clean = batch.masked_fill(~frame_mask(lengths, 4000), 0.0)
    torch.testing.assert_close(front_end(batch, lengths)[0], front_end(clean, lengths)[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("config", "samples", "frames"),
    [
        (KINDS[0], 400, 1),
        (KINDS[0], 559, 1),
        (KINDS[0], 560, 2),
        (KINDS[0], 16000, 98),
        (KINDS[1], 200, 1),
        (KINDS[1], 8000, 98),
        (KINDS[2], 400, 3),
        (KINDS[2], 16000, 101),
        (KINDS[3], 400, 2),
        (KINDS[3], 16000, 99),
    ],
)
def test_frame_counts(config, samples, frames):
    front_end = config.build()
    assert front_end.frames(samples) == frames
    assert front_end.frames(torch.tensor([samples])).tolist() == [frames]
    assert front_end(noise(samples).unsqueeze(0))[0].shape == (1, frames, config.mels)


@pytest.mark.parametrize("config", KINDS, ids=KIND_NAMES)
@pytest.mark.parametrize("hz", [300.0, 1000.0, 3000.0])
def test_a_tone_peaks_in_its_mel_bin(config, hz):
    seconds = torch.arange(config.rate) / config.rate
    features, _ = config.model_copy(update={"remove_mean": False}).build()(
        0.5 * torch.sin(2 * torch.pi * hz * seconds).unsqueeze(0)
    )
    mel = 1127 * np.log1p(np.array([config.low_hz, config.rate / 2, hz]) / 700)
    nearest = round((mel[2] - mel[0]) / (mel[1] - mel[0]) * (config.mels + 1)) - 1
    peaks = features[0, 2:-2].argmax(dim=1)
    assert (peaks - nearest).abs().max() <= 1


@pytest.mark.parametrize("config", KINDS, ids=KIND_NAMES)
def test_digital_silence_is_finite(config):
    silent = torch.zeros(2, 4000)
    silent[0, 2000:] = noise(2000)
    for lengths in (None, torch.tensor([4000, 1000])):
        assert config.build()(silent, lengths)[0].isfinite().all()


def test_an_offset_does_not_matter():
    front_end, waveform = KaldiFrontEnd().build(), noise(8000).unsqueeze(0)
    torch.testing.assert_close(front_end(waveform + 0.3)[0], front_end(waveform)[0], atol=1e-3, rtol=0)


def test_level_does_not_matter_once_the_mean_is_removed():
    front_end, waveform = KaldiFrontEnd().build(), noise(8000).unsqueeze(0)
    torch.testing.assert_close(front_end(0.1 * waveform)[0], front_end(waveform)[0], atol=1e-3, rtol=0)


def test_ten_times_the_amplitude_is_two_ln_ten_more():
    front_end = KaldiFrontEnd(remove_mean=False).build()
    waveform = noise(8000, 0.01).unsqueeze(0)
    more = front_end(10 * waveform)[0] - front_end(waveform)[0]
    torch.testing.assert_close(more, torch.full_like(more, 2 * np.log(10)), atol=1e-3, rtol=0)


def test_speechbrain_keeps_eighty_decibels():
    waveform = torch.cat([noise(8000, 0.5), noise(8000, 1e-7)]).unsqueeze(0)
    features, _ = SpeechbrainFrontEnd(low_hz=0, remove_mean=False).build()(waveform)
    assert features.max() - features.min() == pytest.approx(80.0, abs=1e-3)


@pytest.mark.parametrize("config", KINDS, ids=KIND_NAMES)
def test_no_complex_number_and_no_fourier_operator(config):
    exported = torch.export.export(config.build(), (noise(3200).view(2, 1600), torch.tensor([1600, 900])))
    nodes = [node for node in exported.graph.nodes if node.op == "call_function"]
    assert any("matmul" in str(node.target) for node in nodes)
    assert not any("fft" in str(node.target) or "complex" in str(node.target) for node in nodes)
    values = [node.meta["val"] for node in nodes if isinstance(node.meta["val"], torch.Tensor)]
    assert not any(value.is_complex() for value in values)


def test_mask():
    assert frame_mask(torch.tensor([2, 0, 3]), 3).int().tolist() == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
