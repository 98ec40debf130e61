"""Cohorts, the training of PLDA, and the choice of what scores a list."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadManifest, ModelMismatch, SeenInTraining
from acanet.evaluation.backends import Backend, prepare_scoring
from acanet.evaluation.cohort import embed_cohort
from acanet.scoring.cosine import cosine
from acanet.scoring.normalise import SNorm
from acanet.scoring.plda import Plda
from support.commands import acanet


@pytest.fixture(scope="module")
def encoder(tiny_bundle) -> Encoder:
    return Encoder.load(tiny_bundle)


@pytest.fixture(scope="module")
def manifests(tmp_path_factory, voices) -> dict[str, Path]:
    """Of synthetic voices: `some` are s000 to s002, `more` is s003, `listed` are s004 and s005."""
    folder = tmp_path_factory.mktemp("manifests")
    parts = {"some": ("s000", "s001", "s002"), "more": ("s003",), "listed": ("s004", "s005")}
    for name, speakers in parts.items():
        files = [file for speaker in speakers for file in sorted((voices / speaker).glob("*.wav"))]
        lines = [json.dumps({"path": str(file), "speaker": file.parent.name}) + "\n" for file in files]
        (folder / f"{name}.jsonl").write_text("".join(lines))
    return {name: folder / f"{name}.jsonl" for name in parts}


@pytest.fixture(scope="module")
def listed(manifests) -> list[Utterance]:
    return read_manifest(manifests["listed"])


@pytest.fixture(scope="module")
def plda(manifests, tiny_bundle) -> Path:
    path = manifests["some"].parent / "plda.npz"
    done = acanet("plda", tiny_bundle, manifests["some"], manifests["more"], "-o", path)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"PLDA of 12 utterances (4 speakers of some.jsonl, more.jsonl) in {path}\n"
    return path


def embedded(encoder: Encoder, manifest: Path):
    return np.stack([encoder.embed(utterance.path) for utterance in read_manifest(manifest)])


def test_every_utterance_of_a_cohort_is_an_entry(encoder, manifests, listed):
    cohort = embed_cohort(encoder, [manifests["some"], manifests["more"]], listed)
    want = np.concatenate([embedded(encoder, manifests[name]) for name in ("some", "more")])
    np.testing.assert_allclose(cohort.embeddings, want, atol=1e-4)
    assert cohort.description == "12 cohort utterances of 4 speakers of some.jsonl, more.jsonl"


def test_or_every_speaker_is(encoder, manifests, listed):
    cohort = embed_cohort(encoder, [manifests["some"]], listed, by="speakers")
    want = embedded(encoder, manifests["some"]).reshape(3, 3, -1).mean(axis=1)
    np.testing.assert_allclose(cohort.embeddings, want, atol=1e-4)
    assert cohort.description == "cohort of the means of 3 speakers of some.jsonl"


def test_a_cohort_is_of_people_who_are_not_in_the_list(encoder, manifests, listed):
    with pytest.raises(BadManifest, match=r"listed.jsonl: 2 of its speakers \(s004, s005\) are in the trial list too"):
        embed_cohort(encoder, [manifests["some"], manifests["listed"]], listed)
    nameless = [Utterance(item.id, item.path, "", item.id) for item in listed[:1]]
    with pytest.raises(BadManifest, match=r"1 of its files \(.*s004/000.wav\) are in the trial list too"):
        embed_cohort(encoder, [manifests["listed"]], nameless)


def test_each_back_end_by_its_name(encoder, manifests, listed, plda):
    some = [manifests["some"]]
    assert prepare_scoring(Backend(), encoder, listed) == (cosine, "cosine")
    scoring, words = prepare_scoring(Backend("snorm", cohort=some), encoder, listed)
    assert isinstance(scoring, SNorm)
    assert (scoring.top, words) == (None, "snorm, 9 cohort utterances of 3 speakers of some.jsonl")
    scoring, words = prepare_scoring(Backend("asnorm", cohort=some, cohort_by="speakers", top=2), encoder, listed)
    assert isinstance(scoring, SNorm)
    assert (scoring.top, words) == (2, "asnorm, cohort of the means of 3 speakers of some.jsonl, top 2")
    scoring, words = prepare_scoring(Backend("plda", plda=plda), encoder, listed)
    assert isinstance(scoring, Plda)
    assert words == "plda, 4 speakers of some.jsonl, more.jsonl"
    scores = scoring(embedded(encoder, manifests["listed"]), np.array([0, 0]), np.array([1, 3]))
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("snorm", {}, "snorm needs a cohort; give --cohort"),
        ("asnorm", {"plda": Path("x")}, "asnorm needs a cohort"),
        ("plda", {}, "plda needs a PLDA; give --plda"),
        ("cosine", {"cohort": [Path("x")]}, "cosine takes no --cohort"),
        ("cosine", {"plda": Path("x")}, "cosine takes no --plda"),
        ("snorm", {"cohort": [Path("x")], "top": 5}, "snorm takes no --top; it belongs to asnorm"),
        ("plda", {"plda": Path("x"), "top": 5}, "plda takes no --top"),
    ],
)
def test_what_is_missing_or_of_no_use_is_named(kind, given, message):
    with pytest.raises(AcanetError, match=message):
        Backend(kind, **given)


def test_a_cohort_smaller_than_top_is_refused(encoder, manifests, listed):
    with pytest.raises(AcanetError, match="top is 200, of a cohort of 9 entries"):
        prepare_scoring(Backend("asnorm", cohort=[manifests["some"]]), encoder, listed)


def test_a_plda_knows_its_model_and_its_speakers(encoder, manifests, listed, plda, tiny_bundle):
    trimming = Encoder.load(tiny_bundle, trim=True)
    with pytest.raises(ModelMismatch, match=encoder.fingerprint):
        prepare_scoring(Backend("plda", plda=plda), trimming, listed)
    known = read_manifest(manifests["some"])
    with pytest.raises(SeenInTraining, match=r"plda.npz was trained on 3 speakers \(s000, s001, s002\) of this trial"):
        prepare_scoring(Backend("plda", plda=plda), encoder, known)
    assert isinstance(prepare_scoring(Backend("plda", plda=plda), encoder, known, seen=True)[0], Plda)


def test_training_keeps_as_many_directions_as_asked(tiny_bundle, manifests, tmp_path, encoder):
    path = tmp_path / "plda.npz"
    done = acanet("plda", tiny_bundle, manifests["some"], "-o", path, "--lda", 2)
    assert done.out == f"PLDA of 9 utterances (LDA to 2, 3 speakers of some.jsonl) in {path}\n"
    trained = Plda.load(path, encoder.fingerprint)
    assert trained.projection.shape == (2, encoder.dim)
    assert trained.origin.speakers == {"s000", "s001", "s002"}


def test_training_that_cannot_be_is_refused_before_anything_is_decoded(tiny_bundle, tmp_path):
    manifest = tmp_path / "few.jsonl"
    manifest.write_text('{"path": "a.wav", "speaker": "a"}\n{"path": "b.wav", "speaker": "b"}\n')
    done = acanet("plda", tiny_bundle, manifest, "-o", tmp_path / "plda.npz")
    assert (done.code, done.out) == (2, "")
    assert "each of the 2 speakers has one utterance" in done.err
    manifest.write_text(manifest.read_text() + '{"path": "c.wav", "speaker": "b"}\n')
    done = acanet("plda", tiny_bundle, manifest, "-o", tmp_path / "plda.npz", "--lda", 2)
    assert "LDA to 2 directions; from 1 to 1 are possible" in done.err
    assert "a.wav" in acanet("plda", tiny_bundle, manifest, "-o", tmp_path / "plda.npz").err
    assert not list(tmp_path.glob("plda.npz*"))


@pytest.mark.parametrize(
    ("output", "message"), [("plda.txt", "plda.txt does not end in .npz"), ("no/plda.npz", "there is no folder")]
)
def test_the_place_of_the_file_is_looked_at_first(tiny_bundle, tmp_path, output, message):
    done = acanet("plda", tiny_bundle, tmp_path / "none.jsonl", "-o", tmp_path / output)
    assert done.code == 2
    assert message.replace(" ", "") in re.sub(r"[│\s]", "", done.err)
