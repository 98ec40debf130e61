"""What phones and browsers record: the samples are those of the source, no more and no fewer; the rest is BadAudio.

The files are made here with PyAV.
"""

from __future__ import annotations

import io
import os
import re
import struct
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.audio.containers import MOST_PACKETS, demuxer_for
from acanet.audio.recording import channel_count, content_hash, read_audio
from acanet.errors import BadAudio, MissingExtra
from support.commands import acanet
from support.damage import refusals

av = pytest.importorskip("av", reason="PyAV (the extra `media`) is not installed")


@dataclass(frozen=True)
class Kind:
    """A codec in a container, as PyAV writes it."""

    codec: str
    container: str
    samples: str
    rate: int = 16000
    options: dict[str, str] = field(default_factory=dict)
    bit_rate: int | None = None

    def __str__(self) -> str:
        return "-".join([self.codec, self.container, *self.options.values()])


WHOLE_TICKS = {"movie_timescale": "16000"}
LOSSLESS = [
    Kind("alac", "ipod", "s16p", 44100),
    Kind("alac", "ipod", "s32p"),
    Kind("flac", "mp4", "s16", 48000),
    Kind("flac", "matroska", "s16"),
    Kind("pcm_s16le", "mov", "s16", 8000),
    Kind("pcm_s16be", "mov", "s16"),
    Kind("pcm_u8", "mov", "u8"),
    Kind("pcm_f32le", "matroska", "flt"),
]
LOSSY = [
    # Encoder and container -> samples that come back more than went in, where the container tells of the padding.
    (Kind("aac", "ipod", "fltp"), 0),
    (Kind("aac", "mp4", "fltp", 44100), 0),
    (Kind("aac", "mov", "fltp", 48000, {"movflags": "faststart"}), 0),
    (Kind("aac", "mp4", "fltp", 44100, {"movflags": "frag_keyframe+empty_moov+delay_moov"}), 0),
    (Kind("libopus", "webm", "s16", 48000), 0),
    (Kind("libopus", "webm", "s16", 48000, {"live": "1"}), 0),
    (Kind("libopus", "mp4", "s16", 48000), 0),
    (Kind("libmp3lame", "matroska", "s16p"), 0),
    (Kind("aac", "matroska", "fltp"), -123 % 1024),  # CodecDelay, but the encoder tells no padding: whole packets
]
EVERY = [*LOSSLESS, *(kind for kind, _ in LOSSY)]


def speech_like(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """(channels, samples): low-passed noise, which every codec keeps the shape of."""
    noise = np.random.default_rng(seed).standard_normal((channels, samples + 20))
    smooth = np.apply_along_axis(lambda row: np.convolve(row, np.hanning(21), "valid"), 1, noise)
    return 0.05 * smooth


def quantised(sound: np.ndarray, samples: str) -> np.ndarray:
    """What goes into the encoder, of the sample type that it wants."""
    width = {"s16": 16, "s32": 24, "u8": 8}.get(samples.rstrip("p"))
    if width is None:
        return sound.astype(np.float32)
    whole = np.rint(sound * 2 ** (width - 1)).astype(np.int64)
    if width == 8:
        return (whole + 128).astype(np.uint8)
    return (whole << 8).astype(np.int32) if width == 24 else whole.astype(np.int16)


def as_float(samples: np.ndarray) -> np.ndarray:
    if samples.dtype == np.uint8:
        return (samples - 128.0) / 128
    return samples / {2: 2.0**15, 4: 2.0**31}[samples.itemsize] if samples.dtype.kind == "i" else samples


def write(kind: Kind, sound: np.ndarray, video: list[bytes] | None = None) -> bytes:
    """A recording of (channels, samples), with packets of `video` beside it."""
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[len(sound)]
    encoder_input = quantised(sound, kind.samples)
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/recording"
        with av.open(path, "w", format=kind.container, options=kind.options) as file:
            picture = file.add_stream("mpeg4", rate=25, width=16, height=16) if video else None
            stream = file.add_stream(kind.codec, rate=kind.rate, layout=layout)
            stream.codec_context.format = kind.samples
            if kind.bit_rate:
                stream.bit_rate = kind.bit_rate
            stream.codec_context.open()
            size = stream.codec_context.frame_size or 1024
            for number, data in enumerate(video or ()):
                packet = av.Packet(data)
                packet.stream, packet.pts, packet.dts, packet.time_base = picture, number, number, Fraction(1, 25)
                packet.is_keyframe = True
                file.mux(packet)
            for at in range(0, sound.shape[1], size):
                block = encoder_input[:, at : at + size]
                planes = block if kind.samples.endswith("p") else block.T.reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), kind.samples, layout)
                frame.sample_rate, frame.pts, frame.time_base = kind.rate, at, Fraction(1, kind.rate)
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        return Path(path).read_bytes()


def lag(waveform: np.ndarray, source: np.ndarray) -> int:
    """By how many samples the waveform comes later than its source."""
    size = 2 ** (len(waveform) + len(source)).bit_length()
    match = np.fft.irfft(np.fft.rfft(waveform, size) * np.conj(np.fft.rfft(source, size)))
    at = int(match.argmax())
    return at - size if at > size // 2 else at


def refusal(source: Any, **piece: float) -> str:
    with pytest.raises(BadAudio) as caught:
        read_audio(source, **piece)
    return caught.value.reason


def word(data: bytes, box: bytes, at: int, *values: int) -> bytes:
    """The file with 32 bit numbers of a box changed, `at` bytes behind its name."""
    changed = bytearray(data)
    struct.pack_into(f">{len(values)}I", changed, data.index(box) + 4 + at, *values)
    return bytes(changed)


# What comes back


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("kind", LOSSLESS, ids=str)
def test_lossless_samples_are_exact(kind: Kind, channels: int, tmp_path: Path) -> None:
    sound = speech_like(30_123, channels)
    want = as_float(quantised(sound, kind.samples)).astype(np.float32).mean(axis=0)
    data = write(kind, sound)
    waveform, rate = read_audio(data)
    assert (rate, waveform.dtype, waveform.shape) == (kind.rate, np.float32, (30_123,))
    np.testing.assert_allclose(waveform, want, rtol=0, atol=0 if channels == 1 else 1e-7)
    path = tmp_path / "recording.wav"  # the name decides nothing
    path.write_bytes(data)
    np.testing.assert_array_equal(read_audio(path)[0], waveform)
    assert channel_count(path) == channels


@pytest.mark.parametrize(("kind", "more"), LOSSY, ids=str)
def test_lossy_samples_lie_where_they_lay(kind: Kind, more: int) -> None:
    sound = speech_like(20 * 1024 + 123)[0]
    waveform, rate = read_audio(write(kind, sound[None]))
    assert rate == kind.rate
    assert len(waveform) - len(sound) == more
    assert lag(waveform, sound) == 0
    assert np.corrcoef(waveform[: len(sound)], sound)[0, 1] > 0.95


def test_opus_comes_at_48_khz_whatever_went_in() -> None:
    waveform, rate = read_audio(write(Kind("libopus", "webm", "s16", 16000), speech_like(16_123)))
    assert rate == 48000
    assert len(waveform) == 3 * 16_123


@pytest.mark.parametrize(
    ("kind", "later", "more"),
    [
        (Kind("aac", "adts", "fltp"), 1024, 1024 + -123 % 1024),
        (Kind("libopencore_amrnb", "amr", "s16", 8000), 40, 40 + 160 - (20 * 1024 + 123 + 40) % 160),
    ],
    ids=str,
)
def test_raw_streams_come_with_what_the_encoder_added(kind: Kind, later: int, more: int) -> None:
    sound = speech_like(20 * 1024 + 123)[0]
    waveform, _ = read_audio(write(kind, sound[None]))
    assert abs(lag(waveform, sound) - later) <= 5
    assert len(waveform) - len(sound) == more


def test_windows_media_is_read() -> None:
    sound = speech_like(44100)[0]
    waveform, rate = read_audio(write(Kind("wmav2", "asf", "fltp", 44100, bit_rate=128_000), sound[None]))
    assert rate == 44100
    assert abs(len(waveform) - 44100) <= 2 * 2048
    shift = lag(waveform, sound)
    assert abs(shift) <= 2048
    assert np.corrcoef(waveform[4096:32768], sound[4096 - shift : 32768 - shift])[0, 1] > 0.9


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_a_piece_is_what_the_whole_has_there(kind: Kind) -> None:
    data = write(kind, speech_like(24_000))
    whole, rate = read_audio(data)
    for start, duration in ((0.0, 0.05), (0.1, 0.15), (0.1, 1 / rate)):
        first, count = round(start * rate), round(duration * rate)
        np.testing.assert_array_equal(read_audio(data, start=start, duration=duration)[0], whole[first : first + count])
    np.testing.assert_array_equal(read_audio(data, start=0.2, duration=99)[0], whole[round(0.2 * rate) :])
    np.testing.assert_array_equal(read_audio(data, start=0.2)[0], whole[round(0.2 * rate) :])
    assert f"only {len(whole) / rate:g} s" in refusal(data, start=len(whole) / rate)


@pytest.fixture(scope="module")
def numbered() -> tuple[bytes, np.ndarray]:
    samples = (np.arange(20_000) / 2**15).astype(np.float32)
    return write(Kind("pcm_f32le", "matroska", "flt"), samples[None]), samples


@settings(max_examples=25, deadline=None)
@given(start=st.integers(0, 19_999), count=st.integers(1, 20_000))
def test_any_piece_of_a_lossless_file(numbered: tuple[bytes, np.ndarray], start: int, count: int) -> None:
    data, samples = numbered
    waveform, _ = read_audio(data, start=start / 16000, duration=count / 16000)
    np.testing.assert_array_equal(waveform, samples[start : start + count])


@pytest.mark.parametrize("kind", ["alac", "pcm_s16le"])
def test_an_edit_list_cuts_in_the_middle_of_packets(kind: str) -> None:
    samples = "s16p" if kind == "alac" else "s16"
    sound = speech_like(48_000)
    data = write(Kind(kind, "mov", samples, options=WHOLE_TICKS), sound)
    want = as_float(quantised(sound, samples))[0]
    for length, begin in ((47_000, 1000), (20_000, 0), (20_001, 3333)):
        waveform, _ = read_audio(word(data, b"elst", 8, length, begin))
        np.testing.assert_array_equal(waveform, want[begin : begin + length])


def test_an_edit_list_cuts_aac_too() -> None:
    sound = speech_like(48_000)
    data = write(Kind("aac", "mp4", "fltp", options=WHOLE_TICKS), sound)
    whole, _ = read_audio(data)
    waveform, _ = read_audio(word(data, b"elst", 8, 20_000, 1024 + 3000))
    assert len(waveform) == 20_000
    assert lag(waveform, sound[0]) == -3000
    np.testing.assert_allclose(waveform[2048:], whole[5048:23_000], atol=1e-6)


def test_an_edit_list_in_coarse_ticks_loses_nothing() -> None:
    """10887 ms at 44.1 kHz are 6 samples less than there are; the packets know better."""
    data = write(Kind("aac", "mp4", "fltp", 44100), speech_like(480_123))
    assert struct.unpack_from(">I", data, data.index(b"elst") + 12) == (10887,)
    assert len(read_audio(data)[0]) == 480_123


def test_a_recording_hashes_as_its_wav_does() -> None:
    sound = speech_like(16_000)
    buffer = io.BytesIO()
    soundfile.write(buffer, quantised(sound, "s16")[0], 16000, format="WAV")
    alac = read_audio(write(Kind("alac", "ipod", "s16p"), sound))[0]
    assert content_hash(alac) == content_hash(read_audio(buffer.getvalue())[0])


# Pictures


class Counted(io.BytesIO):
    """Bytes that know how many of them were read."""

    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.count += len(data)
        return data


VIDEO = [bytes([0, 0, 1, 0xB6]) + os.urandom(10)] * 24 + [bytes(2**20)] * 25


@pytest.mark.parametrize("container", ["mov", "matroska"])
def test_the_sound_of_a_film(container: str) -> None:
    """The pictures are no pictures, so that decoding one would fail."""
    kind, sound = Kind("pcm_s16le", container, "s16"), speech_like(32_000)
    np.testing.assert_array_equal(read_audio(write(kind, sound, VIDEO[:25]))[0], as_float(quantised(sound, "s16"))[0])


def test_pictures_are_not_read() -> None:
    from acanet.audio.ceiling import Ceiling
    from acanet.audio.media import MediaFile

    data = write(Kind("aac", "mov", "fltp", options={"movflags": "faststart"}), speech_like(32_000), VIDEO)
    stream = Counted(data)
    with MediaFile(stream, "mov", "film.mov") as file:
        assert sum(map(len, file.blocks(0, None, Ceiling(len(data), "film.mov")))) == 32_000
    assert stream.count < 0.4 * len(data)


def test_a_film_without_sound() -> None:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as place:
        with av.open(place.name, "w") as file:
            stream = file.add_stream("mpeg4", rate=25, width=16, height=16)
            for number in range(3):
                frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
                frame.pts = number
                file.mux(stream.encode(frame))
            file.mux(stream.encode(None))
        assert refusal(place.name) == "there is no audio in it (video)"


# What cannot be read


@pytest.mark.parametrize(
    ("magic", "demuxer"),
    [
        (b"\0\0\0\x20ftypM4A ", "mov"),
        (b"\0\0\x10\x20moov\0\0\0\0", "mov"),
        (b"\x1a\x45\xdf\xa3\x01\0\0\0", "matroska"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf"),
        (b"#!AMR\n", "amr"),
        (b"#!AMR-WB\n", "amr"),
        (b"\xff\xf1\x60\x40", "aac"),
        (b"\xff\xfb\x90\x64", None),
        (b"RIFF\x24\0\0\0WAVE", None),
        (b"fLaC\0\0\0\x22", None),
        (b"OggS\0\x02\0\0", None),
        (b"ID3\x04", None),
        (b"", None),
    ],
)
def test_containers_are_known_by_their_bytes(magic: bytes, demuxer: str | None) -> None:
    assert demuxer_for(magic) == demuxer
    if demuxer:
        for rest in (b"", b"not audio " * 100):
            assert refusal(magic + rest)


@pytest.mark.parametrize("share", [0.99, 0.9, 0.5, 0.05])
@pytest.mark.parametrize(
    "kind",
    [
        Kind("aac", "ipod", "fltp"),
        Kind("aac", "ipod", "fltp", options={"movflags": "faststart"}),
        Kind("pcm_s16le", "mov", "s16", options={"movflags": "faststart"}),
        Kind("aac", "mp4", "fltp", options={"movflags": "frag_keyframe+empty_moov+delay_moov"}),
        Kind("libopus", "webm", "s16", 48000),
        Kind("flac", "matroska", "s16"),
    ],
    ids=str,
)
def test_a_file_that_was_cut_off_says_so(kind: Kind, share: float) -> None:
    data = write(kind, speech_like(64_000))
    assert re.match(r"cut off: its (mdat|moov|moof) box|cut off: its segment", refusal(data[: int(share * len(data))]))


def test_a_recording_that_was_never_finished() -> None:
    data = write(Kind("aac", "ipod", "fltp"), speech_like(64_000))
    assert refusal(data[: data.index(b"moov") - 4]).startswith("cut off, or never finished")


def test_a_browser_that_was_closed_leaves_a_recording() -> None:
    """Recorded as it comes, a webm file claims no length, so what there is, is all there is."""
    kind = Kind("libopus", "webm", "s16", 48000, {"live": "1"})
    data = write(kind, speech_like(96_000))
    whole, part = read_audio(data)[0], read_audio(data[: len(data) // 2])[0]
    assert 0.3 < len(part) / len(whole) < 0.7
    np.testing.assert_array_equal(part, whole[: len(part)])


@pytest.mark.parametrize("tag", [b"drms", None])
def test_encrypted_recordings(tag: bytes | None) -> None:
    key = "00112233445566778899aabbccddeeff"
    secret = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": key, "encryption_kid": key}
    data = write(Kind("aac", "mp4", "fltp", options={} if tag else secret), speech_like(16_000))
    assert refusal(data.replace(b"mp4a", tag) if tag else data).startswith("encrypted")


def test_codecs_that_are_not_read() -> None:
    data = write(Kind("adpcm_ima_qt", "mov", "s16p"), speech_like(16_000))
    assert refusal(data).startswith("its codec is adpcm_ima_qt, which is not read; convert it")


@pytest.mark.parametrize("rate", [2000, 400_000])
def test_a_rate_that_makes_no_sense(rate: int) -> None:
    data = write(Kind("pcm_s16le", "matroska", "s16", rate), speech_like(8000))
    assert f"{rate} samples a second" in refusal(data)


def test_a_title_in_another_alphabet_is_no_obstacle() -> None:
    data = write(Kind("alac", "ipod", "s16p"), speech_like(8000))
    assert len(read_audio(data.replace(b"SoundHandler", b"\xff\xfe\xe4\xf6undHandl"))[0]) == 8000


@pytest.mark.parametrize("kind", EVERY, ids=str)
def test_a_broken_file_gives_finite_samples_or_badaudio(kind: Kind) -> None:
    assert refusals(write(kind, speech_like(8000))) > 15


# What is claimed


def test_an_mp4_header_that_claims_hours_is_not_believed() -> None:
    """Its tables say how long it is."""
    sound = speech_like(16_000)
    data = write(Kind("alac", "ipod", "s16p"), sound)
    hours = 6 * 3600 * 1000
    data = word(word(word(data, b"mvhd", 16, hours), b"mdhd", 16, 16 * hours), b"elst", 8, hours)
    np.testing.assert_array_equal(read_audio(data)[0], as_float(quantised(sound, "s16p"))[0])


@pytest.mark.parametrize(("hours", "reason"), [(6, "it claims 6.0 hours, in"), (0.1, "cut off: 16000 samples where")])
def test_a_matroska_header_that_claims_hours(hours: float, reason: str) -> None:
    data = write(Kind("flac", "matroska", "s16"), speech_like(16_000))
    at = data.index(b"\x44\x89\x88") + 3
    long = data[:at] + struct.pack(">d", hours * 3_600_000) + data[at + 8 :]
    assert reason in refusal(long)


def bomb(data: bytes, packets: int) -> bytes:
    """Tables that list `packets` packets of a byte each, all in the first chunk."""
    data = word(data, b"stsz", 4, 1, packets)
    data = word(data, b"stsc", 4, 1, 1, packets)
    data = word(data, b"stts", 4, 1, packets, 1024)
    return word(data, b"stco", 4, 1)


def fragment_bomb(data: bytes, packets: int) -> bytes:
    return word(data, b"trun", 4, packets)


def edit_bomb(data: bytes, packets: int) -> bytes:
    """An edit list that plays everything again and again."""
    return word(data, b"elst", 4, packets)


def pcm_bomb(data: bytes, packets: int) -> bytes:
    return word(data, b"stco", 4, packets)


FRAGMENTS = Kind("aac", "mp4", "fltp", options={"movflags": "frag_keyframe+empty_moov+delay_moov"})


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (Kind("aac", "ipod", "fltp"), bomb),
        (FRAGMENTS, fragment_bomb),
        (Kind("aac", "ipod", "fltp"), edit_bomb),
        (Kind("pcm_s16le", "mov", "s16"), pcm_bomb),
    ],
    ids=["tables", "fragments", "edits", "chunks"],
)
def test_tables_that_claim_millions_of_packets(kind: Kind, make: Any) -> None:
    """FFmpeg never sees them: it would take gigabytes."""
    data = make(write(kind, speech_like(48_000)), MOST_PACKETS + 1)
    assert re.match(r"its tables claim \d+ packets; at most 8388608 make sense", refusal(data))


def test_boxes_that_hold_themselves_end() -> None:
    """Ten thousand boxes in each other, and ten thousand in a row."""
    nested = b"".join(struct.pack(">I4s", 8 * (10_000 - depth), b"moov") for depth in range(10_000))
    row = struct.pack(">I4s", 8, b"free") * 10_000 + struct.pack(">I4s", 8, b"moov")
    for data in (nested, row, struct.pack(">I4sQ", 1, b"moov", 2**63) * 3, struct.pack(">I4s", 7, b"moov")):
        assert refusal(data)


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak of memory from /proc")
def test_one_packet_that_is_listed_again_and_again(tmp_path: Path) -> None:
    """80 kB that hold 1.4 hours of sound, or more: time and memory go by the limit on samples."""
    data = repeated(write(Kind("alac", "ipod", "s16p"), speech_like(4096)), 20_000)
    assert len(data) < 100_000
    path = tmp_path / "long.m4a"
    path.write_bytes(data)
    script = f"""
        from pathlib import Path
        from acanet.audio import recording as audio
        from acanet.errors import BadAudio
        audio.MOST_SAMPLES = 2**23
        try:
            audio.read_audio({str(path)!r})
        except BadAudio as error:
            print(error.reason)
        print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    reason, kilobytes = done.stdout.splitlines()
    assert reason.startswith("0.2 hours at 16000 Hz, to be held as a whole; cut it")
    assert int(kilobytes) < 200_000


def repeated(data: bytes, times: int) -> bytes:
    """A file with one chunk of one packet, whose tables list that chunk often."""
    offset, size = struct.unpack_from(">I", data, data.index(b"stco") + 12)[0], data.index(b"stsz")
    packet = struct.unpack_from(">I", data, size + 8)[0] or struct.unpack_from(">I", data, size + 16)[0]
    table = {
        b"stts": struct.pack(">IIII", 0, 1, times, 4096),
        b"stsc": struct.pack(">IIIII", 0, 1, 1, 1, 1),
        b"stsz": struct.pack(">III", 0, packet, times),
        b"stco": struct.pack(">II", 0, times) + struct.pack(">I", offset) * times,
    }
    grown = data.replace(b"edts", b"free")
    for kind, body in table.items():
        begin = grown.index(kind) - 4
        old = struct.unpack_from(">I", grown, begin)[0]
        box = struct.pack(">I4s", 8 + len(body), kind) + body
        grown = grown[:begin] + box + grown[begin + old :]
        for parent in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
            at = grown.index(parent) - 4
            had = struct.unpack_from(">I", grown, at)[0]
            grown = grown[:at] + struct.pack(">I", had + len(box) - old) + grown[at + 4 :]
    return grown


# Without the extra


def test_without_the_extra_the_error_names_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path, voices: Path
) -> None:
    path = tmp_path / "phone.m4a"
    path.write_bytes(write(Kind("alac", "ipod", "s16p"), speech_like(16_000)))
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.delitem(sys.modules, "acanet.audio.media", raising=False)
    for read in (read_audio, channel_count):
        with pytest.raises(MissingExtra, match=r"PyAV to read .*phone\.m4a.*pip install '\.\[media\]'"):
            read(path)
    answer = acanet("embed", path, voices / "s000" / "000.wav", "-o", tmp_path / "out.npz", "-m", tiny_bundle)
    assert answer.code == 2
    assert "pip install '.[media]'" in answer.err
    assert "1 of 2 files could not be embedded" in answer.err


# From end to end


def test_a_phone_and_a_browser_give_the_embedding_of_the_wav(tiny_bundle: Path, voices: Path, tmp_path: Path) -> None:
    from acanet.encoder import Encoder

    encoder = Encoder.load(tiny_bundle)
    wav = voices / "s001" / "000.wav"
    speech, rate = soundfile.read(wav)
    assert rate == 16000
    expected = encoder.embed(wav)
    np.testing.assert_array_equal(encoder.embed(write(Kind("alac", "ipod", "s16p"), speech[None])), expected)
    assert encoder.embed(write(Kind("aac", "ipod", "fltp"), speech[None])) @ expected > 0.9
