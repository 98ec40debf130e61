"""Windows: a part of a file as a file of its own, whose errors wait for whoever asks."""

from __future__ import annotations

import io

import pytest

from acanet.audio.window import Window

DATA = bytes(range(100))


class Failing(io.BytesIO):
    """A file on a disk that fails behind its first ten bytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 10:
            raise OSError(5, "Input/output error")
        return super().read(size)


def test_a_part_is_a_file() -> None:
    window = Window(io.BytesIO(DATA)).part(10, 30)
    assert window.size == 20
    assert window.read() == DATA[10:30]
    assert window.read() == b""
    assert window.seek(-5, 2) == 15
    assert window.seek(2, 1) == window.tell() == 17
    assert window.read(100) == DATA[27:30]
    assert window.part(5).read() == DATA[15:30]
    assert window.peek(3, 4) == DATA[13:17]


def test_places_before_the_beginning_are_none_and_those_behind_the_end_hold_nothing() -> None:
    window = Window(io.BytesIO(DATA))
    assert window.seek(7) == 7
    assert window.seek(-1) == 7
    assert window.seek(2**70) == 2**70
    assert window.read() == b""


@pytest.mark.parametrize("size", [1, 3, 7, 200])
def test_bytes_come_ahead_and_in_place_of_others(size: int) -> None:
    window = Window(io.BytesIO(DATA), 90, before=b"abc", patches=[(5, b"xy"), (12, b"z")])
    want = b"abc" + DATA[90:92] + b"xy" + DATA[94:99] + b"z"
    assert window.size == len(want) == 13
    found = b""
    while part := window.read(size):
        found += part
    assert found == want
    held = bytearray(4)
    window.seek(4)
    assert window.readinto(held) == 4
    assert held == want[4:8]


def test_a_file_that_cannot_be_read_ends_and_says_why() -> None:
    window = Window(Failing(DATA))
    part = window.part(5)
    assert window.peek(0, 4) == DATA[:4]
    assert window.failure is None
    assert part.peek(20, 4) == b""
    assert str(window.failure) == str(part.failure) == "[Errno 5] Input/output error"
