"""What a card tells of the manifests that a model was trained on."""

from __future__ import annotations

from pathlib import Path

import pytest

from acanet.data.lists.manifest import NOBODY, Utterance
from acanet.training.sources import Source


def utterances(*speakers, **fields):
    return [Utterance(str(i), Path("a.wav"), who, "a", fields=fields) for i, who in enumerate(speakers)]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (utterances("anna", "anna", "ben"), "3 utterances, 2 speakers"),
        (utterances("anna", licence="MIT"), "1 utterances, 1 speakers, MIT"),
        (
            utterances("p1", "p2", pseudo=True, licence="Apache-2.0"),
            "2 utterances, 2 speakers, whose names are guesses, Apache-2.0",
        ),
        (utterances("a", "b") + utterances("p", pseudo=True), "3 utterances, 3 speakers, 1 of the names guesses"),
        (utterances(NOBODY, NOBODY, licence="CC0"), "2 utterances, nobody named, CC0"),
        (utterances("a", licence="MIT") + utterances("b", licence="CC0"), "2 utterances, 2 speakers, CC0, MIT"),
    ],
)
def test_a_source_in_words(found, told):
    assert str(Source.of("a.jsonl", found)) == f"a.jsonl: {told}"
