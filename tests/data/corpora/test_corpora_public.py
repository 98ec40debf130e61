"""LibriSpeech, VoxCeleb, CN-Celeb and speechocean762: what is read from each, and what of it is not there."""

from __future__ import annotations

import csv
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from acanet.data.corpora.cnceleb import read_cnceleb
from acanet.data.corpora.layout import LeftOut
from acanet.data.corpora.layouts import LAYOUTS
from acanet.data.corpora.librispeech import read_librispeech
from acanet.data.corpora.speechocean762 import read_speechocean762
from acanet.data.corpora.voxceleb import read_voxceleb
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.lists.trials import read_trials, resolve
from acanet.data.prepare.manifests import prepare
from acanet.errors import BadManifest
from support import miniatures_public as miniatures

READERS = {
    "librispeech": read_librispeech,
    "voxceleb": read_voxceleb,
    "cnceleb": read_cnceleb,
    "speechocean762": read_speechocean762,
}
Read = Callable[[Path], Iterable[Utterance | LeftOut]]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four corpora in miniature. Read only."""
    folder = tmp_path_factory.mktemp("public")
    return {name: getattr(miniatures, name)(folder) for name in READERS}


@pytest.fixture
def corpora(originals: dict[str, Path], tmp_path: Path) -> dict[str, Path]:
    """A copy of each, to take things away from; the recordings are hard links."""
    for root in originals.values():
        shutil.copytree(root, tmp_path / root.name, copy_function=os.link)
    return {name: tmp_path / root.name for name, root in originals.items()}


def read(reader: Read, folder: Path) -> tuple[dict[str, Utterance], list[LeftOut]]:
    """The utterances by id, each of which is there once and names a file, and the rest."""
    found = list(reader(folder))
    utterances = [item for item in found if isinstance(item, Utterance)]
    by_id = {utterance.id: utterance for utterance in utterances}
    assert len(by_id) == len(utterances)
    assert all(utterance.path.is_file() for utterance in utterances)
    return by_id, [item for item in found if isinstance(item, LeftOut)]


def parts(utterances: Iterable[Utterance]) -> dict[str, tuple[int, int]]:
    """Speakers and utterances of each part."""
    pairs = [(str(utterance.fields["part"]), utterance.speaker) for utterance in utterances]
    counts = Counter(part for part, _ in pairs)
    speakers = Counter(part for part, _ in set(pairs))
    return {part: (speakers[part], count) for part, count in counts.items()}


def write(path: Path, text: str) -> None:
    """Replace a file, which may be a link to one that others need."""
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    write(path, text.replace(old, new))


@pytest.mark.parametrize("name", READERS)
def test_a_folder_without_the_corpus_says_what_was_looked_for(name: str, tmp_path: Path) -> None:
    expected = {
        "librispeech": "train-clean-100, train-clean-360, .*, test-other",
        "voxceleb": "no folder called idNNNNN.*voxceleb1/dev/wav/id10001",
        "cnceleb": "dev/dev.lst .CN-Celeb1. and spk.lst .CN-Celeb2.",
        "speechocean762": "train/wav.scp and test/wav.scp",
    }
    (tmp_path / "s01").mkdir()
    (tmp_path / "s01" / "1.wav").touch()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(BadManifest, match=expected[name]) as caught:
            list(READERS[name](folder))
        assert caught.value.path == folder


@pytest.mark.parametrize("name", READERS)
def test_all_of_a_corpus_is_read_from_its_folder_and_from_the_one_above(name: str, originals: dict[str, Path]) -> None:
    speakers, utterances = {"librispeech": (12, 48), "voxceleb": (18, 72), "cnceleb": (13, 39)}.get(name, (8, 32))
    root = originals[name]
    here, left_out = read(READERS[name], root)
    assert left_out == []
    assert len({utterance.speaker for utterance in here.values()}) == speakers
    assert len(here) == utterances
    if name not in ("voxceleb", "cnceleb"):  # those two have no folder of a fixed name
        assert read(READERS[name], root.parent) == (here, [])


# LibriSpeech


def test_librispeech(originals: dict[str, Path]) -> None:
    root = originals["librispeech"]
    utterances, _ = read(read_librispeech, root)
    assert parts(utterances.values()) == dict.fromkeys(("train-clean-100", "dev-clean", "test-clean"), (4, 16))
    assert utterances["1034-2034-0001"] == Utterance(
        id="1034-2034-0001",
        path=root / "train-clean-100" / "1034" / "2034" / "1034-2034-0001.flac",
        speaker="1034",
        recording="1034-2034-0001",
        fields={
            "part": "train-clean-100",
            "session": "2034",
            "language": "en",
            "gender": "m",
            "text": "CHAPTER 2034 SAYS THIS",
        },
    )
    assert utterances["61-1061-0000"].fields["gender"] == "f"


def test_librispeech_that_is_not_all_there(corpora: dict[str, Path]) -> None:
    root = corpora["librispeech"]
    shutil.rmtree(root / "dev-clean")
    chapter = root / "test-clean" / "61" / "1061"
    (chapter / "61-1061-0001.flac").unlink()
    (root / "test-clean" / "61" / "2061" / "61-2061.trans.txt").unlink()
    (root / "SPEAKERS.TXT").unlink()
    (root / ".DS_Store").touch()
    (chapter / "._61-1061-0000.flac").touch()

    utterances, left_out = read(read_librispeech, root)
    assert set(parts(utterances.values())) == {"train-clean-100", "test-clean"}
    path = str(chapter / "61-1061-0001.flac")
    assert left_out == [LeftOut(path, "61", "missing", "its transcript is there")]
    assert utterances["61-2061-0000"].fields == {"part": "test-clean", "session": "2061", "language": "en"}


def test_names_that_are_not_librispeechs(corpora: dict[str, Path]) -> None:
    chapter = corpora["librispeech"] / "test-clean" / "61" / "1061"
    for name in ("61-2061-0000.flac", "61-1061-0.flac"):
        shutil.copy(chapter / "61-1061-0000.flac", chapter / name)
    _, left_out = read(read_librispeech, corpora["librispeech"])
    assert [(Path(item.path).name, item.reason) for item in left_out] == [
        ("61-1061-0.flac", "outside the layout"),
        ("61-2061-0000.flac", "outside the layout"),
    ]
    assert left_out[0].detail == "61-1061-NNNN.flac is expected there"


def test_lines_that_are_not_librispeechs(corpora: dict[str, Path]) -> None:
    root = corpora["librispeech"]
    edit(root / "SPEAKERS.TXT", "61   | F |", "61   | X |")
    with pytest.raises(BadManifest, match="'X'; F or M") as caught:
        list(read_librispeech(root))
    assert (caught.value.path.name, caught.value.line) == ("SPEAKERS.TXT", 10)
    edit(root / "SPEAKERS.TXT", "61   | X |", "61   | F |")
    edit(root / "train-clean-100" / "19" / "1019" / "19-1019.trans.txt", "19-1019-0001 ", "")
    with pytest.raises(BadManifest, match=r"19-1019\.trans\.txt, line 2: 'CHAPTER' begins the line"):
        list(read_librispeech(root))


# VoxCeleb


def test_voxceleb(originals: dict[str, Path]) -> None:
    root = originals["voxceleb"]
    utterances, _ = read(read_voxceleb, root)
    assert parts(utterances.values()) == {
        "vox1-dev": (5, 20),
        "vox1-test": (4, 16),
        "vox2-dev": (5, 20),
        "vox2-test": (4, 16),
    }
    name = "id10001/-first10001/00002.wav"
    assert utterances[name] == Utterance(
        id=name,
        path=root / "voxceleb1" / "dev" / "wav" / name,
        speaker="id10001",
        recording=name,
        fields={
            "part": "vox1-dev",
            "gender": "f",
            "nationality": "New Zealand",
            "session": "-first10001",
            "video": "-first10001",
        },
    )
    name = "id00017/second00017/00001.wav"
    assert utterances[name].path == root / "voxceleb2" / "test" / "wav" / name
    assert utterances[name].fields == {
        "part": "vox2-test",
        "gender": "f",
        "session": "second00017",
        "video": "second00017",
    }


@pytest.mark.parametrize("trials", ["veri_test2.txt", "list_test_all2.txt", "list_test_hard2.txt"])
def test_voxcelebs_trial_lists_name_its_ids(trials: str, originals: dict[str, Path]) -> None:
    utterances, _ = read(read_voxceleb, originals["voxceleb"])
    tried = read_trials(originals["voxceleb"] / "voxceleb1" / trials)
    found = resolve(tried, manifest=list(utterances.values()))
    assert [utterance.id for utterance in found] == tried.names
    used = {"vox1-test"} if trials == "veri_test2.txt" else {"vox1-dev", "vox1-test"}
    assert {utterance.fields["part"] for utterance in found} == used


def test_one_of_the_two_voxcelebs_is_known_by_the_numbers(originals: dict[str, Path]) -> None:
    root = originals["voxceleb"]
    both, _ = read(read_voxceleb, root)
    for name in ("voxceleb1", "voxceleb2"):
        alone, left_out = read(read_voxceleb, root / name)
        assert left_out == []
        assert alone == {key: value for key, value in both.items() if str(value.fields["part"])[:4] == "vox" + name[-1]}


@pytest.mark.parametrize(
    "places",
    [
        {"voxceleb1/dev": "vox1/dev", "voxceleb1/test": "vox1/test", "voxceleb2": "vox2"},
        {"voxceleb1/dev": "vox1_dev_wav", "voxceleb1/test": "vox1_test_wav", "voxceleb2/dev": "vox2_dev"},
        {"voxceleb1/dev/wav": "voxceleb1", "voxceleb2/dev/wav": "voxceleb2/dev", "voxceleb2/test/wav": "x/test"},
    ],
)
def test_trees_that_are_in_use(places: dict[str, str], originals: dict[str, Path], tmp_path: Path) -> None:
    """Without tables: the parts come from numbers and folders."""
    source = originals["voxceleb"]
    for old, new in places.items():
        shutil.copytree(source / old, tmp_path / "root" / new, ignore=shutil.ignore_patterns("*_meta.csv"))
    utterances, left_out = read(read_voxceleb, tmp_path / "root")
    both, _ = read(read_voxceleb, source)
    assert left_out == []
    for name, utterance in utterances.items():
        assert utterance.fields["part"] == both[name].fields["part"]
        assert "gender" not in utterance.fields
    copied = {part for old in places for part in _parts_below(old)}
    assert set(parts(utterances.values())) == copied


def _parts_below(place: str) -> set[str]:
    vox, *rest = place.split("/")
    return {f"vox{vox[-1]}-{part}" for part in (rest[:1] or ("dev", "test"))}


def test_voxceleb_merged_into_one_folder(originals: dict[str, Path], tmp_path: Path) -> None:
    """With the table of VoxCeleb2 beside it its parts are known, without they cannot be."""
    root = tmp_path / "all" / "wav"
    for part in ("voxceleb1/dev", "voxceleb1/test", "voxceleb2/dev", "voxceleb2/test"):
        shutil.copytree(originals["voxceleb"] / part / "wav", root, dirs_exist_ok=True)
    with pytest.raises(BadManifest, match=r"whether id00012 is in .* nor by a vox2_meta.csv"):
        list(read_voxceleb(root))
    for meta in ("voxceleb1/vox1_meta.csv", "voxceleb2/vox2_meta.csv"):
        shutil.copy(originals["voxceleb"] / meta, tmp_path / "all")
    merged, left_out = read(read_voxceleb, root)
    both, _ = read(read_voxceleb, originals["voxceleb"])
    assert left_out == []
    assert {key: value.fields for key, value in merged.items()} == {key: value.fields for key, value in both.items()}
    assert read(read_voxceleb, tmp_path / "all") == (merged, [])


def test_m4a_only_where_nothing_else_is(corpora: dict[str, Path]) -> None:
    root = corpora["voxceleb"] / "voxceleb2"
    shutil.rmtree(root / "test" / "wav")
    aac = root / "dev" / "aac" / "id00012" / "-first00012"
    (aac / "00001.m4a").rename(aac / "00009.m4a")
    flac = root / "dev" / "flac" / "id00015" / "second00015" / "00001.flac"
    flac.parent.mkdir(parents=True)
    flac.touch()
    (root / "dev" / "wav" / "id00015" / "second00015" / "00001.wav").unlink()

    utterances, _ = read(read_voxceleb, root)
    suffixes = {name: utterance.path.suffix for name, utterance in utterances.items()}
    assert {suffix for name, suffix in suffixes.items() if utterances[name].fields["part"] == "vox2-test"} == {".m4a"}
    assert suffixes.pop("id00012/-first00012/00009.wav") == ".m4a"
    assert suffixes.pop("id00015/second00015/00001.wav") == ".flac"
    rest = {suffix for name, suffix in suffixes.items() if utterances[name].fields["part"] == "vox2-dev"}
    assert rest == {".wav"}


def test_voxceleb_speakers_without_a_folder_are_missing(corpora: dict[str, Path]) -> None:
    root = corpora["voxceleb"]
    for vox in ("voxceleb2/dev/wav/id00012", "voxceleb2/dev/aac/id00012", "voxceleb1/test/wav/id10271"):
        shutil.rmtree(root / vox)
    shutil.rmtree(root / "voxceleb1" / "dev")
    _, left_out = read(read_voxceleb, root)
    detail = "in the table of speakers, but has no folder"
    assert left_out == [LeftOut(name, name, "missing", detail) for name in ("id00012", "id10271")]


def test_voxceleb_recordings_in_no_speakers_folder_are_left_out(corpora: dict[str, Path]) -> None:
    root = corpora["voxceleb"]
    home = next(root.rglob("id10001"))
    home.rename(home.with_name("id1001"))
    strays = sorted(str(path) for path in home.with_name("id1001").rglob("*.wav"))
    utterances, left_out = read(read_voxceleb, root)
    assert "id10001" not in {utterance.speaker for utterance in utterances.values()}
    assert strays
    assert [item.path for item in left_out if item.reason == "outside the layout"] == strays
    assert ("id10001", "missing") in {(item.path, item.reason) for item in left_out}


def test_names_that_are_not_voxcelebs(corpora: dict[str, Path]) -> None:
    root = corpora["voxceleb"] / "voxceleb1"
    speaker = root / "test" / "wav" / "id10270"
    for name in ("00001.wav", "second10270/1.wav", "second10270/more/00001.wav", "second10270/00001.txt"):
        (speaker / name).parent.mkdir(exist_ok=True)
        (speaker / name).touch(exist_ok=True)
    _, left_out = read(read_voxceleb, root)
    assert {(item.path, item.speaker, item.reason) for item in left_out} == {
        (str(speaker / name), "id10270", "outside the layout")
        for name in ("00001.wav", "second10270/1.wav", "second10270/more/00001.wav")
    }
    assert left_out[0].detail == "id10270/VIDEO/NNNNN.wav is expected"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("id10003\tA_Voice_10003\tf", "id10003\tA_Voice_10003\tx", "line 4: gender is 'x'; f or m"),
        ("\tUSA\ttest", "\tUSA\teval", "line 7: set is 'eval'; dev or test"),
        ("id10002\tA_Voice_10002\tm", "id10002\tm", "line 3: .*idNNNNN and 4 more columns"),
        ("id10002\tA_Voice_10002", "Voice\tA_Voice_10002", "line 3: .*idNNNNN and 4 more columns"),
        ("VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet\n", "", "line 1: names of columns"),
    ],
)
def test_lines_that_are_not_voxcelebs(old: str, new: str, message: str, corpora: dict[str, Path]) -> None:
    root = corpora["voxceleb"] / "voxceleb1"
    edit(root / "vox1_meta.csv", old, new)
    with pytest.raises(BadManifest, match=rf"vox1_meta\.csv, {message}"):
        list(read_voxceleb(root))


def test_a_table_with_commas_is_read_too(corpora: dict[str, Path], originals: dict[str, Path]) -> None:
    """As openslr.org/49 has it, and with other names for the columns."""
    path = corpora["voxceleb"] / "voxceleb1" / "vox1_meta.csv"
    rows = path.read_text(encoding="utf-8").replace("\t", ",")
    write(path, rows.replace("VoxCeleb1 ID,VGGFace1 ID", "ID,VGGFace1"))
    commas, _ = read(read_voxceleb, corpora["voxceleb"])
    tabs, _ = read(read_voxceleb, originals["voxceleb"])
    assert {key: value.fields for key, value in commas.items()} == {key: value.fields for key, value in tabs.items()}


# CN-Celeb


def test_cnceleb(originals: dict[str, Path]) -> None:
    root = originals["cnceleb"]
    utterances, _ = read(read_cnceleb, root)
    assert parts(utterances.values()) == {
        "cnceleb1-dev": (5, 15),
        "cnceleb2": (4, 12),
        "eval-enroll": (4, 4),
        "eval-test": (4, 8),
    }
    name = "id00002/live_broadcast-02-001.wav"
    assert utterances[name] == Utterance(
        id=name,
        path=root / "CN-Celeb_flac" / "data" / "id00002" / "live_broadcast-02-001.flac",
        speaker="id00002",
        recording=name,
        fields={
            "part": "cnceleb1-dev",
            "language": "zh",
            "genre": "live_broadcast",
            "session": "live_broadcast-02",
        },
    )
    test = utterances["test/id00800-singing-01-002.wav"]
    assert test.path == root / "CN-Celeb_flac" / "eval" / "test" / "id00800-singing-01-002.flac"
    assert test.speaker == "id00800"
    assert test.fields == {"part": "eval-test", "language": "zh", "genre": "singing", "session": "singing-01"}
    enrolment = utterances["id00800-enroll"]
    assert enrolment.path == root / "CN-Celeb_flac" / "eval" / "enroll" / "id00800-enroll.flac"
    assert enrolment.speaker == "id00800"
    assert enrolment.fields == {"part": "eval-enroll", "language": "zh", "genre": "speech", "session": "speech-02"}


def test_cncelebs_trials_name_its_ids(originals: dict[str, Path]) -> None:
    utterances, _ = read(read_cnceleb, originals["cnceleb"])
    trials = read_trials(originals["cnceleb"] / "CN-Celeb_flac" / "eval" / "lists" / "trials.lst")
    found = resolve(trials, manifest=list(utterances.values()))
    assert [utterance.id for utterance in found] == trials.names
    assert (len(trials), int(trials.target.sum())) == (32, 8)
    speakers = [utterance.speaker for utterance in found]
    pairs = zip(trials.enrol, trials.test, trials.target, strict=True)
    assert all((speakers[enrol] == speakers[test]) == target for enrol, test, target in pairs)


def test_one_of_the_two_cncelebs(originals: dict[str, Path]) -> None:
    root = originals["cnceleb"]
    both, _ = read(read_cnceleb, root)
    first, _ = read(read_cnceleb, root / "CN-Celeb_flac")
    second, _ = read(read_cnceleb, root / "CN-Celeb2_flac")
    assert {**first, **second} == both
    assert set(parts(second.values())) == {"cnceleb2"}


def test_the_speakers_of_eval_are_never_for_training(corpora: dict[str, Path]) -> None:
    """Also if CN-Celeb1 has a list as CN-Celeb2 has it."""
    first = corpora["cnceleb"] / "CN-Celeb_flac"
    speakers = sorted(path.name for path in (first / "data").iterdir())
    write(first / "spk.lst", "\n".join(speakers))
    for folder in (corpora["cnceleb"], first):
        utterances, _ = read(read_cnceleb, folder)
        trained = {u.speaker for u in utterances.values() if not str(u.fields["part"]).startswith("eval")}
        assert trained & {"id00800", "id00801", "id00802", "id00803"} == set()


def test_an_enrolment_of_several_sessions_has_none(corpora: dict[str, Path]) -> None:
    mapped = corpora["cnceleb"] / "CN-Celeb_flac" / "eval" / "lists" / "enroll.map"
    edit(mapped, "id00800/speech-02-002.wav", "id00800/speech-03-001.wav")
    edit(mapped, "id00801/speech-02-002.wav", "id00801/vlog-02-001.wav")
    edit(mapped, "id00802/speech-02-002.wav", "id00802/odd.wav")
    utterances, _ = read(read_cnceleb, corpora["cnceleb"])
    known = [utterances[f"id0080{digit}-enroll"].fields for digit in range(3)]
    bare = {"part": "eval-enroll", "language": "zh"}
    assert known == [bare | {"genre": "speech"}, bare, bare]
    mapped.unlink()
    utterances, _ = read(read_cnceleb, corpora["cnceleb"])
    assert utterances["id00803-enroll"].fields == bare


def test_cnceleb_that_is_not_all_there(corpora: dict[str, Path]) -> None:
    root = corpora["cnceleb"]
    first, second = root / "CN-Celeb_flac", root / "CN-Celeb2_flac"
    shutil.rmtree(first / "data" / "id00003")
    shutil.rmtree(second / "data" / "id10000")
    (first / "eval" / "test" / "id00801-drama-03-001.flac").unlink()
    (first / "eval" / "enroll" / "id00802-enroll.flac").unlink()
    _, left_out = read(read_cnceleb, root)
    missing = "missing"
    assert left_out == [
        LeftOut(str(first / "data" / "id00003"), "id00003", missing, "in dev/dev.lst, but has no folder"),
        LeftOut(
            str(first / "eval" / "enroll" / "id00802-enroll.flac"),
            "id00802",
            missing,
            "id00802-enroll is in eval/lists/enroll.lst",
        ),
        LeftOut(
            str(first / "eval" / "test" / "id00801-drama-03-001.flac"),
            "id00801",
            missing,
            "test/id00801-drama-03-001.wav is in eval/lists/test.lst",
        ),
        LeftOut(str(second / "data" / "id10000"), "id10000", missing, "in spk.lst, but has no folder"),
    ]


def test_cnceleb1_without_its_list_is_not_taken_for_the_second(corpora: dict[str, Path]) -> None:
    first = corpora["cnceleb"] / "CN-Celeb_flac"
    write(first / "spk.lst", "id00000")
    (first / "dev" / "dev.lst").unlink()
    with pytest.raises(BadManifest, match=r"dev\.lst: is not there"):
        list(read_cnceleb(first))


def test_cnceleb_converted_to_wav(corpora: dict[str, Path]) -> None:
    """Also beside the flac files, which then are taken."""
    root = corpora["cnceleb"]
    before, _ = read(read_cnceleb, root)
    test = root / "CN-Celeb_flac" / "eval" / "test" / "id00801-drama-03-001.flac"
    test.rename(test.with_suffix(".wav"))
    clips = root / "CN-Celeb_flac" / "data" / "id00001"
    (clips / "interview-01-001.flac").rename(clips / "interview-01-001.wav")
    (clips / "interview-01-002.wav").touch()
    after, left_out = read(read_cnceleb, root)
    assert left_out == []
    assert list(after) == list(before)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {"test/id00801-drama-03-001.wav", "id00001/interview-01-001.wav"}
    assert {after[name].path.suffix for name in changed} == {".wav"}


def test_names_and_lines_that_are_not_cncelebs(corpora: dict[str, Path]) -> None:
    root = corpora["cnceleb"] / "CN-Celeb_flac"
    (root / "data" / "id00000" / "interview.flac").touch()
    utterances, left_out = read(read_cnceleb, root)
    assert left_out == []
    assert utterances["id00000/interview.wav"].fields == {"part": "cnceleb1-dev", "language": "zh"}
    lists = root / "eval" / "lists"
    edit(lists / "test.lst", "test/id00801-drama", "test/somebody-drama")
    with pytest.raises(BadManifest, match=r"test\.lst, line 4: 'test/somebody-drama-03-001.wav' does not begin"):
        list(read_cnceleb(root))
    edit(lists / "enroll.lst", "id00801-enroll enroll/", "id00801-enroll/")
    with pytest.raises(BadManifest, match=r"enroll\.lst, line 2: .*a name and a file are expected"):
        list(read_cnceleb(root))
    (lists / "enroll.lst").unlink()
    with pytest.raises(BadManifest, match=r"enroll\.lst: is not there"):
        list(read_cnceleb(root))


# speechocean762


def test_speechocean762(originals: dict[str, Path]) -> None:
    root = originals["speechocean762"]
    utterances, _ = read(read_speechocean762, root)
    assert parts(utterances.values()) == {"train": (4, 16), "test": (4, 16)}
    assert utterances["000240030"] == Utterance(
        id="000240030",
        path=root / "WAVE" / "SPEAKER0024" / "000240030.WAV",
        speaker="0024",
        recording="000240030",
        fields={"part": "test", "language": "en", "gender": "m", "age": 29, "text": "SENTENCE 000240030"},
    )


def test_speechocean762_that_is_not_all_there(corpora: dict[str, Path]) -> None:
    root = corpora["speechocean762"]
    shutil.rmtree(root / "train")
    (root / "WAVE" / "SPEAKER0024" / "000240030.WAV").unlink()
    (root / "test" / "spk2age").unlink()
    utterances, left_out = read(read_speechocean762, root)
    assert parts(utterances.values()) == {"test": (4, 15)}
    assert [(item.path, item.speaker, item.reason) for item in left_out] == [("000240030", "0024", "missing")]
    assert "age" not in utterances["000240020"].fields
    (root / "test" / "utt2spk").unlink()
    with pytest.raises(BadManifest, match="holds no utt2spk"):
        list(read_speechocean762(root))


# Through prepare

SPLITS = {
    "librispeech": {"train": (4, 16), "dev": (4, 16), "test": (4, 16)},
    "voxceleb": {"train": (5, 20), "dev": (4, 16), "test": (9, 36)},
    "cnceleb": {"train": (7, 21), "dev": (2, 6), "test": (4, 12)},  # two speakers of train are drawn for dev
    "speechocean762": {"train": (2, 8), "dev": (2, 8), "test": (4, 16)},
}


@pytest.mark.parametrize("name", READERS)
def test_prepare(name: Any, originals: dict[str, Path], tmp_path: Path) -> None:
    report = prepare(name, originals[name], tmp_path / "out", workers=1)
    assert {split: (share.speakers, share.utterances) for split, share in report.splits.items()} == SPLITS[name]
    assert report.left_out == {}
    there, _ = read(READERS[name], originals[name])
    published = LAYOUTS[name].parts
    assert set(report.parts) == set(published)
    for part, (speakers, utterances) in parts(there.values()).items():
        found = report.parts[part]
        assert (found.speakers, found.utterances) == (speakers, utterances)
        assert (found.published_speakers, found.published_utterances) == (
            published[part].speakers,
            published[part].utterances,
        )
    for split in SPLITS[name]:
        for utterance in read_manifest(tmp_path / "out" / f"{split}.jsonl"):
            fields = dict(utterance.fields)
            assert fields.pop("audio_hash")
            assert (utterance.path, utterance.speaker) == (there[utterance.id].path, there[utterance.id].speaker)
            assert fields == there[utterance.id].fields


def test_voxceleb1_alone_is_trained_on(originals: dict[str, Path], tmp_path: Path) -> None:
    report = prepare("voxceleb", originals["voxceleb"] / "voxceleb1", tmp_path / "out", workers=1)
    assert {split: share.speakers for split, share in report.splits.items()} == {"train": 3, "dev": 2, "test": 4}
    test = read_manifest(tmp_path / "out" / "test.jsonl")
    assert {utterance.fields["part"] for utterance in test} == {"vox1-test"}


def test_what_is_missing_is_named(corpora: dict[str, Path], tmp_path: Path) -> None:
    enrolment = corpora["cnceleb"] / "CN-Celeb_flac" / "eval" / "enroll" / "id00802-enroll.flac"
    enrolment.unlink()
    report = prepare("cnceleb", corpora["cnceleb"], tmp_path / "out", workers=1)
    assert report.left_out == {"missing": 1}
    assert report.missing == (str(enrolment),)
    assert report.parts["eval-enroll"].utterances == 3


def test_m4a_that_cannot_be_decoded_is_left_out(corpora: dict[str, Path], tmp_path: Path) -> None:
    """Where nothing was converted; here the test part of VoxCeleb2, of which the miniature has only beginnings."""
    shutil.rmtree(corpora["voxceleb"] / "voxceleb2" / "test" / "wav")
    report = prepare("voxceleb", corpora["voxceleb"], tmp_path / "out", workers=1)
    assert report.left_out == {"unreadable": 16}
    assert report.splits["train"].speakers == 5
    with (tmp_path / "out" / "left_out.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {Path(row["path"]).suffix for row in rows} == {".m4a"}
    assert all("moov" in row["detail"] for row in rows)
