"""Files that were joined are heard whole, or refused; what was cut off is told of."""

from __future__ import annotations

import io
import warnings
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import soundfile

from acanet.audio import chain, containers
from acanet.audio.mpeg import counted
from acanet.audio.quality import AudioWarning
from acanet.audio.recording import open_recording, read_audio
from acanet.audio.resample import resample
from acanet.audio.window import Window
from acanet.encoder import Encoder
from acanet.errors import BadAudio
from support.sounds import ID3, encode, noise

ONE, TWO, THREE = noise(40_000), noise(24_000, 1), noise(33_333, 2)
OGG = {"opus": ("OGG", "OPUS"), "vorbis": ("OGG", "VORBIS")}
JOINED = {**OGG, "flac": ("FLAC", "PCM_16"), "wav": ("WAV", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "w64": ("W64", None)}
JOINED |= {"nist": ("NIST", "PCM_16"), "au": ("AU", "PCM_16")}
JOINED |= {"rf64": ("RF64", None), "gsm": ("WAV", "GSM610"), "caf": ("CAF", "PCM_16")}


def refusal(source: Any, **piece: float) -> str:
    with pytest.raises(BadAudio) as caught:
        read_audio(source, **piece)
    return caught.value.reason


@pytest.mark.parametrize("name", JOINED)
def test_all_links_are_heard(name: str) -> None:
    parts = [encode(sound, 16000, *JOINED[name]) for sound in (ONE, TWO, THREE)]
    want = np.concatenate([read_audio(part)[0] for part in parts])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        waveform, rate = read_audio(b"".join(parts))
    assert rate == 16000
    np.testing.assert_array_equal(waveform, want)


OLD_TAG = b"TAG" + bytes(125)


@pytest.mark.parametrize("tag", [ID3, OLD_TAG, ID3 + OLD_TAG], ids=["ID3v2", "ID3v1", "both"])
@pytest.mark.parametrize("name", ["wav", "aiff", "caf", "rf64", "gsm"])
def test_tags_between_files_are_passed_over(name: str, tag: bytes) -> None:
    one, two = (encode(sound, 16000, *JOINED[name]) for sound in (ONE, TWO))
    want = np.concatenate([read_audio(part)[0] for part in (one, two)])
    np.testing.assert_array_equal(read_audio(one + tag + two)[0], want)
    np.testing.assert_array_equal(read_audio(one + tag)[0], read_audio(one)[0])


@pytest.mark.parametrize("other", ["flac", "opus", "aiff", "nist", "au", "caf"])
@pytest.mark.parametrize("tag", [b"", ID3])
def test_a_file_of_another_kind_behind_samples_is_told_of(other: str, tag: bytes) -> None:
    assert "another kind follows" in refusal(encode(ONE) + tag + encode(TWO, 16000, *JOINED[other]))


@pytest.mark.parametrize("begin", [b"PK\x03\x04", b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7"])
@pytest.mark.parametrize("name", ["wav", "aiff", "caf", "au", "rf64"])
def test_pictures_and_archives_behind_samples_are_not_heard(name: str, begin: bytes) -> None:
    data = encode(ONE, 16000, *JOINED[name])
    junk = begin + np.random.default_rng(0).bytes(20_000)
    np.testing.assert_array_equal(read_audio(data + junk)[0], read_audio(data)[0])


@pytest.mark.parametrize("name", ["flac", "wav", "aiff", "gsm"])
def test_a_piece_may_lie_in_any_link_or_over_several(name: str) -> None:
    data = b"".join(encode(sound, 16000, *JOINED[name]) for sound in (ONE, TWO, THREE))
    whole = read_audio(data)[0]
    for start, duration in ((0.0, 1.0), (2.4, 0.3), (2.5, 0.5), (3.0, None), (2.0, 4.0), (4.1, 0.5), (0.1, 99.0)):
        first = round(start * 16000)
        end = None if duration is None else first + round(duration * 16000)
        found = read_audio(data, start=start, duration=duration)[0]
        np.testing.assert_allclose(found, whole[first:end], atol=1e-6)
    assert f"only {len(whole) / 16000:g} s" in refusal(data, start=60.0)


@pytest.mark.parametrize("name", ["vorbis", "flac", "wav", "mp3"])
def test_links_of_other_rates_do_not_go_together(name: str) -> None:
    format, subtype = JOINED.get(name, ("MP3", None))
    data = encode(ONE, 16000, format, subtype) + encode(TWO, 22050, format, subtype)
    assert "rate" in refusal(data)


CONTAINERS = [
    ("aac", "ipod", "fltp", {}),
    ("aac", "ipod", "fltp", {"movflags": "faststart"}),
    ("alac", "mov", "s16p", {}),
    ("aac", "mp4", "fltp", {"movflags": "frag_keyframe+empty_moov+delay_moov"}),
    ("aac", "adts", "fltp", {}),
    ("libopus", "webm", "s16", {}),
    ("flac", "matroska", "s16", {}),
]


@pytest.mark.parametrize("kind", CONTAINERS, ids=lambda kind: "-".join(kind[:2]))
def test_joined_containers_are_heard(kind: Any) -> None:
    pytest.importorskip("av")
    from support.mutants import media

    parts = [media(sound, 16000, *kind) for sound in (ONE, TWO, THREE)]
    total = sum(len(read_audio(part)[0]) for part in parts)
    waveform, rate = read_audio(b"".join(parts))
    assert total <= len(waveform) <= total + 0.1 * rate
    assert np.abs(waveform[-1000:]).max() > 0.02


@pytest.mark.parametrize("name", ["vorbis", "flac", "wav"])
def test_links_may_have_other_channels(name: str) -> None:
    format, subtype = JOINED[name]
    stereo = np.stack([TWO, TWO], axis=1)
    data = encode(ONE, 16000, format, subtype) + encode(stereo, 16000, format, subtype)
    assert len(read_audio(data)[0]) == 64_000
    assert "no channel 1; it has one channel, 0" in refusal(data, channel=1)


def test_links_that_bear_one_serial_number_are_told_apart() -> None:
    one = encode(ONE, format="OGG", subtype="VORBIS")
    assert len(read_audio(one + one)[0]) == 80_000


def test_a_flac_that_does_not_say_how_long_it_is_ends_where_the_next_begins() -> None:
    one = bytearray(encode(ONE, format="FLAC"))
    one[21] &= 0xF0
    one[22:26] = bytes(4)
    assert len(read_audio(bytes(one) + encode(TWO, format="FLAC"))[0]) == 64_000


def test_an_ogg_whose_second_link_is_broken_is_no_recording() -> None:
    one, two = (bytearray(encode(sound, format="OGG", subtype="VORBIS")) for sound in (ONE, TWO))
    two[60:4000] = bytes(3940)
    assert refusal(bytes(one + two))


def test_files_are_not_joined_by_the_ten_thousand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "_MOST_LINKS", 5)
    one = encode(ONE[:100])
    assert len(read_audio(5 * one)[0]) == 500
    assert "more than 5 files were joined" in refusal(6 * one)


def test_boxes_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(containers, "_MOST_BOXES", 1000)
    boxes = b"\0\0\0\x08ftyp" + 2000 * b"\0\0\0\x08free"
    assert "more than 1000 boxes or elements" in refusal(boxes)
    inside = b"\0\0\0\x08ftyp" + (8 + 16000).to_bytes(4) + b"moov" + 2000 * b"\0\0\0\x08free"
    assert "more than 1000 boxes or elements" in refusal(inside)


def unknown_length(element: bytes, data: bytes) -> bytes:
    """A Matroska file that does not say how long its first such element is."""
    at = data.index(element) + len(element)
    width = 9 - data[at].bit_length()
    return data[:at] + ((1 << 7 * width + 1) - 1).to_bytes(width) + data[at + width :]


@pytest.mark.parametrize("live", [[b"\x18\x53\x80\x67"], [b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75"]])
def test_what_browsers_record_live_may_be_joined(live: list[bytes]) -> None:
    pytest.importorskip("av")
    from support.mutants import media

    part = media(ONE, 16000, "libopus", "webm", "s16", {})
    for element in live:
        part = unknown_length(element, part)
    assert len(read_audio(3 * part)[0]) == 3 * len(read_audio(part)[0])


def test_elements_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr(containers, "_MOST_BOXES", 1000)
    assert "more than 1000 boxes or elements" in refusal(b"\x1a\x45\xdf\xa3\x80" + 2000 * b"\xec\x80")


def test_flac_in_ogg_is_read_with_all_its_links() -> None:
    pytest.importorskip("av")
    from support.mutants import media

    one, two = (media(sound, 16000, "flac", "ogg", "s16", {}) for sound in (ONE, TWO))
    want = np.concatenate([np.rint(sound * 32767) / 32768 for sound in (ONE, TWO)])
    np.testing.assert_allclose(read_audio(one + two)[0], want, atol=1e-6)
    with pytest.warns(AudioWarning, match="cut off"):
        assert 10_000 < len(read_audio(one[: len(one) // 2])[0]) < 40_000


# Ogg without an end


@pytest.mark.parametrize("name", OGG)
@pytest.mark.parametrize("share", [0.3, 0.66, 0.95])
def test_an_ogg_that_was_cut_off_is_told_of(name: str, share: float) -> None:
    data = encode(noise(160_000), 16000, *OGG[name])
    with pytest.warns(AudioWarning, match=r"<bytes, \d+>: cut off: its last page does not end the stream") as told:
        waveform, _ = read_audio(data[: round(share * len(data))])
    assert len(told) == 1
    assert 0 < len(waveform) < 160_000
    stereo = encode(noise(3_000_000).reshape(-1, 2), 16000, *OGG[name])  # decoded twice, told of once
    with pytest.warns(AudioWarning) as told:
        read_audio(stereo[: round(share * len(stereo))])
    assert len(told) == 1


def test_a_link_that_was_cut_off_is_told_of() -> None:
    one, two = (encode(sound, format="OGG", subtype="VORBIS") for sound in (ONE, TWO))
    with pytest.warns(AudioWarning, match="cut off"):
        assert len(read_audio(one[: len(one) * 2 // 3] + two)[0]) > 24_000


def test_a_piece_of_an_ogg_does_not_ask_for_its_end() -> None:
    data = encode(ONE, format="OGG", subtype="VORBIS")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_audio(data[: len(data) * 2 // 3], duration=0.5)[0]) == 8000


# mp3


def mp3(sound: np.ndarray, rate: int = 16000) -> bytes:
    return encode(sound, rate, "MP3")


def without_count(data: bytes) -> bytes:
    """An mp3 file whose first frame is no header that counts the others."""
    at = max(data.find(b"Info", 0, 100), data.find(b"Xing", 0, 100))
    return data[:at] + bytes(4) + data[at + 4 :]


def loud_and_silent(seconds: int) -> np.ndarray:
    """What a variable bit rate takes much and next to nothing for."""
    loud = np.repeat(np.arange(seconds) % 2, 16000)
    return noise(seconds * 16000) * loud.astype(np.float32)


FRAME = 576


@pytest.mark.parametrize("tag", [b"", ID3])
@pytest.mark.parametrize("counts", [True, False])
def test_joined_mp3_are_heard(counts: bool, tag: bytes) -> None:
    parts = [mp3(sound) for sound in (ONE, TWO, THREE)]
    if not counts:
        parts = [without_count(part) for part in parts]
    waveform, _ = read_audio(b"".join(tag + part for part in parts))
    total = len(ONE) + len(TWO) + len(THREE)
    assert total <= len(waveform) <= total + 3 * 4 * FRAME
    loud = np.abs(waveform) > 0.02
    assert loud[: len(ONE)].mean() > 0.5
    assert loud[-len(THREE) :].mean() > 0.5


def test_an_mp3_is_what_it_was_where_its_header_counts_all_frames() -> None:
    data = mp3(ONE)
    assert len(read_audio(data)[0]) == len(ONE)
    for more in (b"TAG" + bytes(125), ID3):
        np.testing.assert_array_equal(read_audio(data + more)[0], read_audio(data)[0])


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 32000, 44100, 48000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_of_changing_bit_rate_without_a_header_is_read_to_its_end(rate: int, channels: int) -> None:
    sound = np.stack([loud_and_silent(12)] * channels, axis=1)
    waveform, _ = read_audio(without_count(mp3(sound, rate)))
    assert len(sound) <= len(waveform) <= len(sound) + 8 * FRAME


def test_what_is_no_mp3_is_left_alone() -> None:
    for data in (b"", b"\xff", encode(ONE), bytes(1000), b"\xff\xfb" + bytes(1000), ID3):
        window = Window(io.BytesIO(data))
        assert counted(window, "x") is window or data.startswith(b"\xff\xfb")


def test_libmpg123_does_not_write_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(mp3(noise(160_000)))
    for at in range(500, len(data), 97):
        data[at] ^= 0x55
    with pytest.raises(BadAudio):
        read_audio(bytes(data))
    read_audio(mp3(ONE) + mp3(TWO))
    assert capfd.readouterr().err == ""


# Tags in front


@pytest.mark.parametrize("name", [*JOINED, "mp3"])
@pytest.mark.parametrize("tags", [ID3, 2 * ID3, b"ID3\x03\0\0\0\0\x01\x00" + bytes(128)])
def test_tags_in_front_are_passed_over(name: str, tags: bytes) -> None:
    data = encode(ONE, 16000, *JOINED.get(name, ("MP3", None)))
    np.testing.assert_array_equal(read_audio(tags + data)[0], read_audio(data)[0])


def test_a_tag_that_claims_more_than_there_is_is_none() -> None:
    assert refusal(b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + encode(ONE, format="FLAC")[:2000])


# Codecs that cannot be sought in

UNSOUGHT = {
    "gsm in wav": ("WAV", "GSM610"),
    "gsm in aiff": ("AIFF", "GSM610"),
    "gsm in w64": ("W64", "GSM610"),
    "g721 in wav": ("WAV", "G721_32"),
    "g721 in au": ("AU", "G721_32"),
    "g723 of 24 in au": ("AU", "G723_24"),
    "g723 of 40 in au": ("AU", "G723_40"),
    "nms of 16": ("WAV", "NMS_ADPCM_16"),
    "nms of 24": ("WAV", "NMS_ADPCM_24"),
    "nms of 32": ("WAV", "NMS_ADPCM_32"),
    "dwvw": ("AIFF", "DWVW_12"),
    "dpcm of 8": ("XI", "DPCM_8"),
    "dpcm of 16": ("XI", "DPCM_16"),
}
"""All that libsndfile writes of them."""


@pytest.mark.parametrize("name", UNSOUGHT)
@pytest.mark.parametrize("seconds", [1, 70])
def test_what_cannot_be_sought_in_is_read(name: str, seconds: int) -> None:
    rate = 44100 if name.startswith("dpcm") else 8000  # XI has one rate
    try:
        data = encode(noise(seconds * rate), rate, *UNSOUGHT[name])
    except Exception as error:
        pytest.skip(f"this libsndfile does not write it: {error}")
    whole, rate = read_audio(data)
    assert seconds * rate <= len(whole) <= seconds * rate + 400
    half = rate // 2
    for start, duration, want in (
        (0.5, None, whole[half:]),
        (0.25, 0.25, whole[rate // 4 : rate // 4 + round(rate / 4)]),
        (0.0, 0.5, whole[:half]),
    ):
        np.testing.assert_array_equal(read_audio(data, start=start, duration=duration)[0], want)
    with open_recording(data) as recording:
        assert recording.claimed == len(whole)
    assert "the recording has only" in refusal(data, start=seconds + 1.0)


def test_gsm_goes_all_roads(tiny_bundle: Any, voices: Any, tmp_path: Any) -> None:
    encoder = Encoder.load(tiny_bundle)
    speech, rate = soundfile.read(voices / "s001" / "000.wav", dtype="float32")
    long = resample(np.tile(speech, 40), rate, 8000)
    path = tmp_path / "voicemail.wav"
    path.write_bytes(encode(long, 8000, "WAV", "GSM610"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AudioWarning)
        whole = encoder.embed(path)
        assert len(encoder.embed_windows(path, 2.0, 1.0)) > 10
        with encoder.recording(path, start=1.0, duration=2.0) as recording:
            assert recording.seconds == 2.0
        (other,) = encoder.embed_many([path])
    np.testing.assert_array_equal(whole, other)


# NIST


def test_a_nist_file_that_was_cut_off() -> None:
    data = encode(ONE, format="NIST")
    assert "cut off: the header promises 80000 bytes" in refusal(data[: len(data) // 2])
    for count in (b"abc  ", b"99999999999999999999999"):
        odd = data.replace(b"-i 40000\n", b"-i " + count + b"\n")
        with suppress(BadAudio):
            assert np.isfinite(read_audio(odd[:1024] + data[1024:])[0]).all()
