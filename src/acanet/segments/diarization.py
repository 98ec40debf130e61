"""Who speaks when in one recording, in one call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from acanet.audio.sources import Source
from acanet.encoder import Encoder
from acanet.errors import require
from acanet.runtime.windows import Progress
from acanet.segments.find import Conversation, check_choice, file_name, find_conversation
from acanet.segments.rttm import Turn, write_rttm


@dataclass(frozen=True, eq=False)
class Diarization:
    """A recording, and who speaks when in it.

    Attributes:
        source: the recording.
        conversation: what was compared.
        turns: the stretches of speech, each with the name of its speaker.
    """

    source: Source
    conversation: Conversation
    turns: list[Turn]

    def summary(self) -> list[str]:
        """A line for each speaker, in the order in which they begin: seconds of speech, and the first of them."""
        lines = []
        for name in dict.fromkeys(turn.speaker for turn in self.turns):
            own = [turn for turn in self.turns if turn.speaker == name]
            spoken = sum(turn.end - turn.start for turn in own)
            lines.append(f"{name}: {spoken:.1f} s of speech, the first at {own[0].start:.1f} s")
        return lines

    def write(self, path: Path) -> None:
        """Write the turns to an RTTM file, which names the recording by its file's name without the ending."""
        write_rttm(path, self.turns, file_name(self.conversation.name))


def diarize(
    encoder: Encoder,
    source: Source,
    *,
    channel: int | None = None,
    speakers: int | None = None,
    threshold: float | None = None,
    progress: Progress | None = None,
) -> Diarization:
    """Tell who speaks when in a recording, one voice at a time.

    Args:
        encoder: the model.
        source: as in `Encoder.embed`; an array is at the model's rate.
        channel: as in `Encoder.embed`.
        speakers, threshold: see `Conversation.turns`.
        progress: called with the share that is done, from 0 to 1.

    Raises:
        AcanetError, NotCalibrated, MissingExtra: as `Conversation.turns`, before anything is decoded.
        BadAudio, NoSpeech, TooShort: as `find_conversation`.
    """
    require("scipy")
    check_choice(speakers, threshold, calibrated=encoder.calibration is not None)
    conversation = find_conversation(encoder, source, channel=channel, progress=progress)
    return Diarization(source, conversation, conversation.turns(speakers=speakers, threshold=threshold))
