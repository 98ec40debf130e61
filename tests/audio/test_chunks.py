"""Headers whose lengths are not what follows: all that is there is read, and what was cut off is told of."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from acanet.audio.recording import read_audio
from acanet.errors import BadAudio
from support.sounds import changed, encode, noise

SOUND = noise(20_000)
BYTES = 40_000


def wav() -> bytes:
    return encode(SOUND)


Put = Callable[[bytes, int], bytes]


def behind(name: bytes, more: int, layout: str, extra: int = 0) -> Put:
    """Puts a number of bytes of samples into a header, `more` bytes behind a name, plus what its size counts too."""
    return lambda data, size: changed(
        data, data.index(name) + more, layout, (size + extra) % 2 ** (8 * struct.calcsize(layout))
    )


KINDS: dict[str, tuple[bytes, Put]] = {
    "wav": (encode(SOUND), behind(b"data", 4, "<I")),
    "wavex": (encode(SOUND, format="WAVEX"), behind(b"data", 4, "<I")),
    "au": (encode(SOUND, format="AU"), behind(b".snd", 8, ">I")),
    "aiff": (encode(SOUND, format="AIFF"), behind(b"SSND", 4, ">I", 8)),
    "rf64": (encode(SOUND, format="RF64"), behind(b"ds64", 16, "<Q")),
    "w64": (encode(SOUND, format="W64"), behind(b"data\xf3", 16, "<Q", 24)),
    "caf": (encode(SOUND, format="CAF"), behind(b"data", 4, ">Q", 4)),
}
NARROW = ["wav", "wavex", "au", "aiff"]
UNKNOWN = [0, 0xFFFFFFFF, 0xFFFFFFFF - 36, 0xFFFFFFFF - 44, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000]
UNKNOWN += [2_000_000_000, 2_000_000_001, 0x7FFF0000, 0xFFFFFF00, 0xFFFF0001, 4_000_000_000]


def refusal(data: bytes) -> str:
    with pytest.raises(BadAudio) as caught:
        read_audio(data)
    return caught.value.reason


def assert_whole(data: bytes, name: str) -> None:
    waveform, rate = read_audio(data)
    assert rate == 16000
    np.testing.assert_allclose(waveform, SOUND, atol=1e-4)
    np.testing.assert_array_equal(read_audio(data, start=1.0, duration=0.1)[0], waveform[16000:17600], name)


@pytest.mark.parametrize("size", UNKNOWN)
@pytest.mark.parametrize("name", NARROW)
def test_a_length_that_is_not_known(name: str, size: int) -> None:
    data, put = KINDS[name]
    assert_whole(put(data, size), name)


@pytest.mark.parametrize("size", [0, 2**64 - 1, 2**63 - 1, 2**62, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
@pytest.mark.parametrize("name", ["rf64", "w64", "caf"])
def test_a_wide_length_that_is_not_known(name: str, size: int) -> None:
    data, put = KINDS[name]
    assert_whole(put(data, size), name)


@pytest.mark.parametrize("more", [1, 2, 8, 16, 36, 44, 80, 127, 1000])
@pytest.mark.parametrize("name", KINDS)
def test_a_length_that_is_off_by_a_header(name: str, more: int) -> None:
    data, put = KINDS[name]
    assert_whole(put(data, BYTES + more), name)


@pytest.mark.parametrize("sound", [SOUND[:50], SOUND[:500]])
def test_a_short_recording_bears_a_header_too(sound: np.ndarray) -> None:
    data = encode(sound)
    for more in (8, 36, 44):
        assert len(read_audio(changed(data, 40, "<I", 2 * len(sound) + more))[0]) == len(sound)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("name", KINDS)
def test_what_was_cut_off_by_much_is_told_of(name: str, share: float) -> None:
    data, _ = KINDS[name]
    assert "cut off: the header promises 400" in refusal(data[: round(share * len(data))])


@pytest.mark.parametrize("size", [2, 1000, 20_000, 39_000 - 3000])
@pytest.mark.parametrize("name", [*NARROW, "rf64", "w64"])
def test_a_length_that_is_too_small(name: str, size: int) -> None:
    """A recorder was killed before it could bring its header up to date."""
    data, put = KINDS[name]
    assert_whole(put(data, size), name)


def test_both_sizes_left_open() -> None:
    for size in (0, 0xFFFFFFFF, 0x7FFFFFFF):
        assert_whole(changed(changed(wav(), 40, "<I", size), 4, "<I", size), "wav")


@pytest.mark.parametrize("subtype", ["GSM610", "IMA_ADPCM", "MS_ADPCM", "ULAW", "PCM_24", "FLOAT", "PCM_U8"])
def test_other_codecs_in_wav(subtype: str) -> None:
    data = encode(SOUND, 8000, "WAV", subtype)
    whole, at = read_audio(data)[0], data.index(b"data") + 4
    size = struct.unpack_from("<I", data, at)[0]
    for claimed in (0, 0xFFFFFFFF, 2_000_000_000, size + 44):
        np.testing.assert_array_equal(read_audio(changed(data, at, "<I", claimed))[0], whole)


def test_big_endian_wav() -> None:
    data = bytearray(wav())
    data[:4] = b"RIFX"
    for at, old, new in ((4, "<I", ">I"), (16, "<I", ">I"), (20, "<HHIIHH", ">HHIIHH"), (40, "<I", ">I")):
        struct.pack_into(new, data, at, *struct.unpack_from(old, data, at))
    data[44:] = np.frombuffer(data[44:], "<i2").byteswap().tobytes()
    assert_whole(bytes(data), "rifx")
    assert_whole(changed(bytes(data), 40, ">I", 0), "rifx")


LIST = b"LIST\x1a\0\0\0INFOISFT\x0e\0\0\0Lavf62.12.102\0"


def test_what_follows_the_samples_is_none() -> None:
    for more in (LIST, b"id3 \x04\0\0\0abcd", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10), b"TAG" + bytes(5000), bytes(100)):
        np.testing.assert_array_equal(read_audio(wav() + more)[0], read_audio(wav())[0])
    empty = encode(SOUND[:0])
    assert "no samples" in refusal(empty)
    assert "no samples" in refusal(empty + LIST)


def test_a_chunk_of_odd_length_before_the_samples() -> None:
    data = wav()
    odd = data[:36] + b"note\x03\0\0\0abc\0" + data[36:]
    assert_whole(odd, "wav")
    assert_whole(changed(odd, odd.index(b"data") + 4, "<I", 0), "wav")


def test_headers_that_lead_nowhere() -> None:
    for data in (
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVE" + 5000 * b"abcd\0\0\0\0",
        wav()[:40],
        b".snd",
        b"FORM\0\0\0\0AIFF",
    ):
        assert refusal(data)
