"""Layouts that have their own miniature here: a Kaldi folder and WSJ0; and what all layouts have in common."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from acanet.cli.application import app
from acanet.data.corpora.corpus_kinds import Kind
from acanet.data.corpora.kaldi import read_kaldi
from acanet.data.corpora.layout import LeftOut
from acanet.data.corpora.layouts import LAYOUTS
from acanet.data.corpora.wsj0 import PARTS, read_wsj0
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.lists.trials import read_names, read_trials, resolve
from acanet.data.prepare.manifests import Coverage, prepare
from acanet.errors import BadConfig, BadManifest
from support.miniatures import KALDI_SPEAKERS, WSJ0, kaldi, wsj0, wsj0_names, wsj0_protocol


def sorted_out(items: list[Utterance | LeftOut]) -> tuple[list[Utterance], list[LeftOut]]:
    return [i for i in items if isinstance(i, Utterance)], [i for i in items if isinstance(i, LeftOut)]


def test_every_kind_has_a_layout() -> None:
    assert list(get_args(Kind)) == list(LAYOUTS)


@pytest.mark.parametrize("kind", [kind for kind, layout in LAYOUTS.items() if layout.parts])
def test_a_corpus_that_is_not_there(tmp_path: Path, kind: Kind) -> None:
    for source in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(BadManifest, match=re.escape(str(source))):
            prepare(kind, source, tmp_path / "out", workers=1)


# Kaldi


def test_kaldi_keeps_what_is_known(tmp_path: Path) -> None:
    utterances, left_out = sorted_out(list(read_kaldi(kaldi(tmp_path))))
    assert left_out == []
    assert len(utterances) == 3 * len(KALDI_SPEAKERS)
    first, second, third = utterances[:3]
    assert (first.id, first.speaker, first.recording) == ("spk03-rec0-0", "spk03", "spk03-rec0")
    assert (first.path, first.start, first.duration) == (tmp_path / "data/wav/spk03-rec0.wav", 0.0, None)
    assert first.fields == {"gender": "f", "age": 23, "language": "en", "text": "words of spk03-rec0-0"}
    assert (second.start, second.duration) == (0.0, 0.7)
    assert (third.recording, third.start) == ("spk03-rec1", 0.7)
    assert third.duration == pytest.approx(0.65)


def test_kaldi_goes_all_the_way(tmp_path: Path) -> None:
    report = prepare("kaldi", kaldi(tmp_path), tmp_path / "out", dev=0.5, workers=1)
    assert (report.utterances, report.speakers, report.left_out) == (12, 4, {})
    assert report.parts == {}
    kept = read_manifest(tmp_path / "out/train.jsonl")
    assert {"gender", "age", "language", "text", "audio_hash"} == set(kept[0].fields)
    assert kept[0].fields["age"] == int(kept[0].speaker[3:]) + 20


def test_kaldi_needs_only_two_files(tmp_path: Path) -> None:
    home = kaldi(tmp_path)
    for name in ("segments", "spk2gender", "spk2age", "utt2lang", "text"):
        (home / name).unlink()
    (home / "utt2spk").write_text("spk03-rec0 a\nspk03-rec1 a\nspk07-rec0\tb\n")
    utterances, left_out = sorted_out(list(read_kaldi(home)))
    others = [f"spk{number:02d}-rec{part}" for number in KALDI_SPEAKERS for part in (0, 1)][3:]
    assert [(item.path, item.reason) for item in left_out] == [(name, "without a speaker") for name in others]
    assert [(u.id, u.speaker, u.start, u.duration, dict(u.fields)) for u in utterances] == [
        ("spk03-rec0", "a", 0.0, None, {}),
        ("spk03-rec1", "a", 0.0, None, {}),
        ("spk07-rec0", "b", 0.0, None, {}),
    ]


def test_kaldi_paths_count_from_the_working_directory_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = kaldi(tmp_path)
    (tmp_path / "elsewhere/wav").mkdir(parents=True)
    shutil.copy(home / "wav/spk07-rec0.wav", tmp_path / "elsewhere/wav/spk03-rec0.wav")
    monkeypatch.chdir(tmp_path / "elsewhere")
    first, second = sorted_out(list(read_kaldi(home)))[0][:2]
    assert first.path.resolve() == (tmp_path / "elsewhere/wav/spk03-rec0.wav").resolve()
    assert second.path == home / "wav/spk03-rec1.wav"


@pytest.mark.parametrize("options", ["-f wav", "-f wav -p", "-p -f wav"])
def test_kaldi_reads_the_file_of_sph2pipe(tmp_path: Path, options: str) -> None:
    home = kaldi(tmp_path)
    shutil.copy(home / "wav/spk03-rec0.wav", home / "wav/with space.wv1")
    rows = (home / "wav.scp").read_text().splitlines()[1:]
    rows.insert(0, f"spk03-rec0 /opt/kaldi/tools/sph2pipe {options} 'wav/with space.wv1' |")
    (home / "wav.scp").write_text("\n".join(rows))
    assert sorted_out(list(read_kaldi(home)))[0][0].path == home / "wav/with space.wv1"


@pytest.mark.parametrize(
    "source",
    [
        "touch {mark} |",
        "sph2pipe -f wav wav/spk03-rec0.wav | touch {mark} |",
        "sph2pipe -f wav -c 2 wav/spk03-rec0.wav |",
        "sph2pipe |",
        "sox 'wav/spk03-rec0.wav -t wav - |",
        "/data/raw.ark:1234",
        "/data/raw.ark:1234[0:99]",
    ],
)
def test_kaldi_runs_nothing_and_opens_no_archive(tmp_path: Path, source: str) -> None:
    home, mark = kaldi(tmp_path), tmp_path / "mark"
    rows = (home / "wav.scp").read_text().splitlines()[1:]
    (home / "wav.scp").write_text("\n".join([f"spk03-rec0 {source.format(mark=mark)}", *rows]))
    report = prepare("kaldi", home, tmp_path / "out", dev=0, workers=1)
    assert report.left_out == {"not a file": 1}
    assert report.utterances == 11
    assert not mark.exists()
    assert "write it to a wav file" in (tmp_path / "out/left_out.csv").read_text()


def test_kaldi_names_what_is_missing(tmp_path: Path) -> None:
    home = kaldi(tmp_path)
    (home / "wav/spk03-rec0.wav").unlink()
    for name, drop in (("wav.scp", "spk07-rec0 "), ("segments", "spk11-rec0-0 "), ("utt2spk", "spk15-rec0-0 ")):
        rows = (home / name).read_text().splitlines(keepends=True)
        (home / name).write_text("".join(row for row in rows if not row.startswith(drop)))
    left_out = sorted_out(list(read_kaldi(home)))[1]
    assert {(item.path, item.speaker, item.reason) for item in left_out} == {
        ("spk03-rec0-0", "spk03", "missing"),
        ("spk07-rec0-0", "spk07", "missing"),
        ("spk11-rec0-0", "spk11", "missing"),
        ("spk15-rec0-0", "", "without a speaker"),
    }


@pytest.mark.parametrize(
    ("name", "text", "line", "reason"),
    [
        ("utt2spk", "spk03-rec0-0 a b\n", 1, "3 words; two are expected"),
        ("utt2spk", "x a\n\ny b\n", 2, "a blank line"),
        ("utt2spk", "x a\nx b\n", 2, "'x' has a line already"),
        ("wav.scp", "one a.wav\ntwo\n", 2, "only one word"),
        ("segments", "a r 0\n", 1, "'recording start end' is expected"),
        ("segments", "a r 0 1\nb r 2 1\n", 2, "'r 2 1' after the name"),
        ("segments", "a r 0 nan\n", 1, "is expected, in seconds"),
        ("segments", "a r -1 2\n", 1, "is expected, in seconds"),
        ("segments", "a r 0 1 A\n", 1, "is expected, in seconds"),
        ("spk2gender", "spk03 x\n", 1, "gender is 'x'; f or m is expected"),
        ("spk2age", "spk03 old\n", 1, "age is 'old'; a number of years"),
        ("utt2lang", "spk03\n", 1, "1 words; two are expected"),
    ],
)
def test_bad_lines_of_kaldi(tmp_path: Path, name: str, text: str, line: int, reason: str) -> None:
    home = kaldi(tmp_path)
    (home / name).write_text(text)
    with pytest.raises(BadManifest, match=re.escape(reason)) as caught:
        list(read_kaldi(home))
    assert (caught.value.path, caught.value.line) == (home / name, line)


def test_a_folder_that_is_not_kaldis(tmp_path: Path) -> None:
    for name in ("wav.scp", "utt2spk"):
        with pytest.raises(BadManifest, match=f"holds no {re.escape(name)}"):
            list(read_kaldi(tmp_path))
        (tmp_path / name).write_bytes(b"\xff a\n")
    with pytest.raises(BadManifest, match="is not UTF-8"):
        list(read_kaldi(tmp_path))


# WSJ0


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only."""
    return wsj0(tmp_path_factory.mktemp("wsj0"))


def test_wsj0_on_its_discs(discs: Path) -> None:
    utterances, left_out = sorted_out(list(read_wsj0(discs)))
    assert left_out == []
    assert Counter(u.fields["part"] for u in utterances) == {part: 3 * len(who) for part, who in WSJ0.items()}
    assert sorted(u.id for u in utterances) == sorted(n for who in WSJ0.values() for s in who for n in wsj0_names(s))
    by_id = {u.id: u for u in utterances}
    first = by_id["011a0101"]
    assert (first.speaker, first.recording) == ("011", "011a0101")
    assert first.path == discs / "11-1.1/wsj0/si_tr_s/011/011a0101.wv1"
    assert first.fields == {"part": "si_tr_s", "session": "01", "gender": "m"}
    assert by_id["441c0203"].fields == {"part": "si_et_05", "session": "02", "gender": "f"}


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_wsj0_as_one_tree(tmp_path: Path, suffix: str) -> None:
    root = wsj0(tmp_path, suffix)
    utterances, _ = sorted_out(list(read_wsj0(root)))
    assert len(utterances) == 33
    assert {u.path.suffix for u in utterances} == {f".{suffix}"}
    assert "gender" not in utterances[0].fields
    only = sorted_out(list(read_wsj0(root / "si_dt_05")))[0]
    assert {u.fields["part"] for u in only} == {"si_dt_05"}


def test_wsj0_takes_what_can_be_decoded_before_the_discs(tmp_path: Path) -> None:
    root = wsj0(tmp_path)
    tree = root / "zz" / "si_tr_s" / "011"
    tree.mkdir(parents=True)
    soundfile.write(tree / "011a0101.wav", np.zeros(16000), 16000)
    utterances, _ = sorted_out(list(read_wsj0(root)))
    paths = {u.id: u.path for u in utterances}
    assert paths["011a0101"] == tree / "011a0101.wav"
    assert paths["011a0103"].suffix == ".wv1"


def test_wsj0_in_another_speakers_folder_is_left_out(tmp_path: Path) -> None:
    root = wsj0(tmp_path, "wav")
    (root / "si_tr_s/011/011a0101.wav").rename(root / "si_tr_s/011/012a9999.wav")
    utterances, left_out = sorted_out(list(read_wsj0(root)))
    assert len(utterances) == 32
    assert [(item.reason, item.detail) for item in left_out] == [("outside the layout", "012/012a9999.wav is expected")]


def test_wsj0_in_capitals_twice_and_beside_wsj1(tmp_path: Path) -> None:
    root = wsj0(tmp_path, "wav")
    old, new = root / "si_tr_s/011", root / "DISC/WSJ0/SI_TR_S/011"
    new.mkdir(parents=True)
    for path in old.iterdir():
        shutil.copy(path, new / path.name.upper())
    shutil.copytree(root / "si_tr_s/012", root / "13-1.1/wsj1/si_tr_s/46c")
    (old / "note.wav").touch()
    utterances, left_out = sorted_out(list(read_wsj0(root)))
    assert len(utterances) == len({u.id for u in utterances}) == 33
    assert {u.path for u in utterances if u.speaker == "011"} == set(new.iterdir())  # capitals sort first
    assert [(Path(item.path).name, item.reason) for item in left_out] == [("note.wav", "without a speaker")]


def test_wsj0_goes_into_train_dev_and_test(discs: Path, tmp_path: Path) -> None:
    report = prepare("wsj0", discs, tmp_path / "out", dev=0.4, workers=1)
    assert {name: (share.utterances, share.speakers) for name, share in report.splits.items()} == {
        "train": (12, 4),
        "dev": (6, 2),
        "test": (15, 5),
    }
    assert report.parts["si_tr_s"] == Coverage(18, 6, 12_776, 101)
    assert {u.speaker for u in read_manifest(tmp_path / "out/test.jsonl")} == {"050", "051", "052", "440", "441"}


def test_wsj0_with_a_protocol(discs: Path, tmp_path: Path) -> None:
    utts, trials = wsj0_protocol(tmp_path)
    with utts.open("a") as file:
        file.write("02ec0301\n")
    report = prepare("wsj0", discs, tmp_path / "out", lists={"train": [utts], "test": [trials]}, dev=0, workers=1)
    assert report.missing == ("02ec0301",)
    assert report.missing_because == {f"listed in {utts}": 1}
    assert report.parts["si_tr_s"] == Coverage(18, 6, 12_776, 101)
    assert {name: share.utterances for name, share in report.splits.items()} == {"train": 18, "test": 15}
    manifest = read_manifest(tmp_path / "out/test.jsonl")
    assert len(resolve(read_trials(trials), manifest=manifest)) == 15
    assert {u.speaker for u in manifest if u.fields["gender"] == "m"} == {"050", "440"}


def test_counts_of_wsj0_are_those_of_the_public_trials(shared: Path) -> None:
    names = read_names(shared / "protocols/wsj0-1talker/trials")
    for part, here in (("si_et_05", True), ("si_dt_05", False)):
        mine = [name for name in names if name.startswith("44") is here]
        assert (len({name[:3] for name in mine}), len(mine)) == (PARTS[part].speakers, PARTS[part].utterances)
    train = read_names(shared / "protocols/wsj0-1talker/train.utts")
    assert len({name[:3] for name in train}) == PARTS["si_tr_s"].speakers
    assert len(train) == 11_936 < PARTS["si_tr_s"].utterances


def test_the_public_protocol_on_the_miniature(discs: Path, tmp_path: Path, shared: Path) -> None:
    folder = shared / "protocols/wsj0-1talker"
    lists = {"train": [folder / "train.utts"], "test": [folder / "trials"]}
    report = prepare("wsj0", discs, tmp_path / "out", lists=lists, dev=0, workers=1)
    assert {name: share.utterances for name, share in report.splits.items()} == {"train": 18, "test": 15}
    assert len(report.missing) == 11_936 - 18 + 1_857 - 15
    assert report.missing[0] == "011a0102"


def test_the_command_takes_lists(discs: Path, tmp_path: Path) -> None:
    utts, trials = wsj0_protocol(tmp_path)
    command = ["prepare", "wsj0", str(discs), "-o", str(tmp_path / "out"), "--workers", "1", "--dev", "0"]
    done = CliRunner().invoke(app, [*command, "--split", f"train={utts}", "--split", f"test={trials}"])
    assert done.exit_code == 0, done.output
    assert len(read_manifest(tmp_path / "out/train.jsonl")) == 18
    done = CliRunner().invoke(app, [*command, "--split", "train"])
    assert done.exit_code == 2
    assert "is not NAME=LIST" in done.output
    done = CliRunner().invoke(app, [*command, "--split", f"tests={utts}"])
    assert isinstance(done.exception, BadConfig)
