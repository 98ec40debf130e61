"""What no honest recording is: hours in next to no bytes, which cost whoever decodes them dear."""

from __future__ import annotations

from acanet.errors import BadAudio

_FREE_SECONDS = 600.0
"""What is shorter is read however small it is: it costs little."""
_FEWEST_BYTES = 100
"""For a second of audio. The leanest of codecs for speech take six times as many."""


class Ceiling:
    """Counts what is decoded of a file, against its size."""

    def __init__(self, size: int, name: str) -> None:
        """Nothing is decoded yet of a file of `size` bytes."""
        self._size, self._name, self._seconds = size, name, 0.0

    def check_claim(self, seconds: float) -> None:
        """Refuse a file whose header claims more seconds than its bytes can hold.

        Raises:
            BadAudio: naming the recording.
        """
        self._check(seconds, "claims")

    def count(self, seconds: float) -> None:
        """So many seconds more are decoded.

        Raises:
            BadAudio: when they are more, by now, than its bytes can hold.
        """
        self._seconds += seconds
        self._check(self._seconds, "decodes to")

    def _check(self, seconds: float, verb: str) -> None:
        if seconds > _FREE_SECONDS and seconds * _FEWEST_BYTES > self._size:
            raise BadAudio(
                self._name,
                f"it {verb} {seconds / 3600:.1f} hours, in {self._size} bytes: beyond ten minutes, less than "
                f"{_FEWEST_BYTES} bytes for a second are no recording",
            )
