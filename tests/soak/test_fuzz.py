"""Ten thousand mutants of recordings in every format: no exception but acanet's, no hang, no crash, bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from acanet.audio.recording import read_audio
from support.mutants import hear, recordings

MUTANTS = 10_000


@pytest.mark.soak
def test_ten_thousand_mutants(tiny_bundle: Path, voices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    speech, rate = read_audio(voices / "s001" / "000.wav")
    seeds = recordings(speech, rate)
    assert len(seeds) > 40
    tally = hear(seeds, tiny_bundle, range(MUTANTS))
    with capsys.disabled():
        print("", f"{len(seeds)} recordings", *tally.lines(), sep="\n")
    assert not tally.wrong
    assert sum(tally.outcomes.values()) == MUTANTS
