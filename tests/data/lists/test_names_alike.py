"""Two spellings of one name are told of, with what they differ in."""

from __future__ import annotations

import unicodedata

import pytest

from acanet.data.lists.names_alike import AlikeWarning, names_alike, warn_of_names

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "josé") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["anna", "Anna", "bo"], "'Anna' and 'anna' differ in case alone"),
        (["anna", "anna ", "bo"], "'anna' and 'anna ' differ in white space alone"),
        (["a b", "a  b", "a\tb"], "'a\\tb', 'a  b' and 'a b' differ in white space alone"),
        (["anna", "Anna", "anna "], "'Anna', 'anna' and 'anna ' differ in white space and case alone"),
        ([COMPOSED, DECOMPOSED], r"'jose\u0301' and 'josé' differ in Unicode form"),
        (["ａｎｎａ", "anna"], r"'anna' and '\uff41\uff4e\uff4e\uff41' differ in Unicode form"),
        (["anna", "an\u200bna"], r"'anna' and 'an\u200bna' differ in invisible characters alone"),
        *(
            (["anna", f"an{unseen}na"], "differ in invisible characters alone")
            for unseen in "\ufe0f\u034f\u115f\u17b5\u2800\U000e0100"
        ),
        (["STRASSE", "straße"], "'STRASSE' and 'straße' differ in case alone"),
        ([COMPOSED.upper(), DECOMPOSED + " "], "differ in Unicode form (composed and decomposed letters, "),
        (["a\u3000b", "a b"], "differ in Unicode form"),
        (["anna ", "bo"], "'anna ' has white space at its ends"),
        (["\u3000anna", "bo"], "has white space at its ends"),
    ],
)
def test_names_that_are_alike_are_told(names, told):
    (sentence,) = names_alike(names)
    assert told in sentence
    with pytest.warns(AlikeWarning, match="speakers whose names are alike, one person perhaps: .*give one person one"):
        warn_of_names(names)


@pytest.mark.parametrize("names", [[], ["anna"], ["anna", "anne", "bo"], ["s1", "s01", "s-1", "s_1"], ["Å", "A"]])
def test_other_names_are_not(names):
    assert names_alike([*names, *names]) == []
    warn_of_names(names)


def test_many_are_counted_in_few_words():
    names = [form for number in range(1000) for form in (f"speaker{number}", f"Speaker{number}")]
    with pytest.warns(AlikeWarning) as caught:
        warn_of_names(names)
    assert len(str(caught[0].message)) < 400
