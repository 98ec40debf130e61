"""WSJ0 and a Kaldi folder in miniature: their folders, names and tables, with a few synthetic voices in them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import soundfile

from support.miniatures_public import RATE, record, voice, write

WSJ0 = {
    "si_tr_s": ("011", "012", "013", "01f", "205", "40a"),
    "si_dt_05": ("050", "051", "052"),
    "si_et_05": ("440", "441"),
}
WSJ0_DISCS = {"si_tr_s": ("11-1.1", "11-2.1"), "si_dt_05": ("11-6.1",), "si_et_05": ("11-14.1",)}
WSJ0_MALE = ("011", "01f", "050", "440")


def wsj0(folder: Path, suffix: str = "wv1") -> Path:
    """WSJ0: six speakers to train on and five to test, each with three utterances that the corpus has too.

    Args:
        folder: where it goes.
        suffix: "wv1": discs, with NIST files that are not compressed, the second microphone (.wv2), texts, tables and
            a part that nobody reads; another: one tree of such files, as the scripts for wsj0-mix make it.

    Returns:
        `folder`/WSJ0.
    """
    root = folder / "WSJ0"
    for part, speakers in WSJ0.items():
        for number, speaker in enumerate(speakers):
            discs = WSJ0_DISCS[part]
            disc = root / discs[number % len(discs)] / "wsj0" if suffix == "wv1" else root
            for name in wsj0_names(speaker):
                _wsj0_recording(disc / part / speaker / f"{name}.{suffix}", speaker, name)
    if suffix == "wv1":
        _wsj0_rest(root)
    return root


def wsj0_names(speaker: str) -> list[str]:
    """The utterances of a speaker."""
    session = {"05": "a05", "44": "c02"}.get(speaker[:2], "a01")
    return [f"{speaker}{session}{number}" for number in ("01", "03", "04")]


def wsj0_protocol(folder: Path) -> tuple[Path, Path]:
    """A protocol of the miniature as that of WSJ0-1talker: `folder`/train.utts and `folder`/trials.

    Returns:
        The list of the utterances to train on, and all pairs of those to test, `1 enrol test` or `0 enrol test`.
    """
    write(folder / "train.utts", [name for speaker in WSJ0["si_tr_s"] for name in wsj0_names(speaker)])
    tests = [name for part in ("si_dt_05", "si_et_05") for speaker in WSJ0[part] for name in wsj0_names(speaker)]
    write(folder / "trials", [f"{int(a[:3] == b[:3])} {a} {b}" for a, b in combinations(tests, 2)])
    return folder / "train.utts", folder / "trials"


def _wsj0_recording(path: Path, speaker: str, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    container = "NIST" if path.suffix in (".wv1", ".wv2") else None
    sound = voice(int(speaker, 36), int(name[-2:], 36))
    soundfile.write(path, sound, RATE, format=container, subtype="PCM_16")


def _wsj0_rest(root: Path) -> None:
    """What lies beside the recordings of the primary microphone."""
    speakers = [speaker for part in WSJ0.values() for speaker in part]
    rows = [f"{speaker}   {'M' if speaker in WSJ0_MALE else 'F'}   {'?':<17} ?" for speaker in speakers]
    write(root / "11-13.1" / "wsj0" / "doc" / "spkrinfo.txt", [";ID  SEX  DIALECT  REMARKS", *rows])
    for name in wsj0_names("011"):
        write(root / "11-1.1" / "wsj0" / "si_tr_s" / "011" / f"{name}.ptx", [f"A text ({name})"])
        _wsj0_recording(root / "11-8.1" / "wsj0" / "si_tr_s" / "011" / f"{name}.wv2", "011", name)
    _wsj0_recording(root / "11-4.1" / "wsj0" / "sd_tr_s" / "001" / "001c0201.wv1", "001", "001c0201")


KALDI_SPEAKERS = (3, 7, 11, 15)


def kaldi(folder: Path) -> Path:
    """A Kaldi data folder of four speakers: two recordings each, the second cut into two utterances.

    Everything that is known is there: segments, spk2gender, spk2age, utt2lang, text. Paths count from the folder.

    Returns:
        `folder`/data.
    """
    home = folder / "data"
    tables: dict[str, list[str]] = {name: [] for name in ("wav.scp", "segments", "utt2spk", "utt2lang", "text")}
    for number in KALDI_SPEAKERS:
        speaker = f"spk{number:02d}"
        for part, cuts in ((0, ((0.0, -1),)), (1, ((0.0, 0.7), (0.7, 1.35)))):
            recording = f"{speaker}-rec{part}"
            record(home / "wav" / f"{recording}.wav", number, part)
            tables["wav.scp"].append(f"{recording} wav/{recording}.wav")
            for cut, (start, end) in enumerate(cuts):
                name = f"{recording}-{cut}"
                tables["segments"].append(f"{name} {recording} {start} {end}")
                tables["utt2spk"].append(f"{name} {speaker}")
                tables["utt2lang"].append(f"{name} en")
                tables["text"].append(f"{name} words of {name}")
    for name, rows in tables.items():
        write(home / name, rows)
    write(home / "spk2gender", [f"spk{number:02d} {'mf'[number % 4 // 2]}" for number in KALDI_SPEAKERS])
    write(home / "spk2age", [f"spk{number:02d} {20 + number}" for number in KALDI_SPEAKERS])
    return home
