"""Drawn trial lists: every trial is one that was asked for, none comes twice, and they are spread evenly."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acanet.data.draw.census import effective_size
from acanet.data.draw.list_files import draw_list, write_trials
from acanet.data.draw.plan import Plan
from acanet.data.draw.sampling import draw_each, even_shares
from acanet.data.draw.trial_list import Drawn, draw_trials
from acanet.data.lists.enrolments import read_enrolments
from acanet.data.lists.manifest import Utterance, read_manifest
from acanet.data.lists.names_alike import AlikeWarning
from acanet.data.lists.same_recording import CopyWarning
from acanet.data.lists.sides import find_sides
from acanet.data.lists.trials import read_trials
from acanet.errors import AcanetError, BadConfig, BadManifest
from support.commands import acanet

SOURCE = Path("test.jsonl")
ALL = {"targets": None, "ratio": None}


def utterance(speaker: int, number: int, seconds: float = 3.0, **fields: object) -> Utterance:
    name = f"s{speaker:03d}/{number:03d}"
    return Utterance(
        id=name, path=Path(f"{name}.wav"), speaker=f"s{speaker:03d}", recording=name, duration=seconds, fields=fields
    )


def draw(utterances: Sequence[Utterance], seed: int = 0, **plan: Any) -> Drawn:
    return draw_trials(utterances, Plan(**plan), seed=seed, source=SOURCE)


def pairs_of(drawn: Drawn) -> list[tuple[tuple[Utterance, ...], Utterance, bool]]:
    """Each trial: who is enrolled, who is tested, and the label."""
    members = drawn.models.tolist() if drawn.models is not None else [[row] for row in range(len(drawn.utterances))]
    return [
        (tuple(drawn.utterances[row] for row in members[enrol]), drawn.utterances[test], target)
        for enrol, test, target in zip(drawn.enrol, drawn.test, drawn.target.tolist(), strict=True)
    ]


def lines_of(drawn: Drawn) -> list[tuple[tuple[str, ...], str, bool]]:
    return [(tuple(one.id for one in enrol), test.id, target) for enrol, test, target in pairs_of(drawn)]


@st.composite
def manifests(draw: st.DrawFn) -> list[Utterance]:
    """A few speakers, of two genders and four ages, in up to three sessions each."""
    utterances = []
    for speaker in range(draw(st.integers(2, 5))):
        gender, age = draw(st.sampled_from("fm")), draw(st.sampled_from([6, 8, 10, 30]))
        for number in range(draw(st.integers(1, 7))):
            session, seconds = draw(st.integers(0, 2)), draw(st.sampled_from([1.0, 2.0, 5.0]))
            utterances.append(utterance(speaker, number, seconds, gender=gender, age=age, session=session))
    return draw(st.permutations(utterances))


PLANS = st.fixed_dictionaries(
    {},
    optional={
        "targets": st.one_of(st.none(), st.integers(1, 12)),
        "ratio": st.one_of(st.none(), st.sampled_from([0.5, 1.0, 3.0])),
        "targets_per_speaker": st.integers(1, 6),
        "enrol": st.integers(1, 3),
        "same": st.just(("gender",)),
        "within_years": st.sampled_from([0.0, 2.0, 4.0]),
        "across": st.just("session"),
        "min_seconds": st.sampled_from([0.0, 2.0]),
        "max_seconds": st.sampled_from([3.0, 9.0]),
    },
)


def fits(enrol: tuple[Utterance, ...], test: Utterance, plan: Plan) -> bool:
    """Whether a trial is one that was asked for."""
    both = (enrol[0].fields, test.fields)
    if enrol[0].speaker == test.speaker:
        return test not in enrol and (
            plan.across is None or all(one.fields["session"] != test.fields["session"] for one in enrol)
        )
    if plan.same and both[0]["gender"] != both[1]["gender"]:
        return False
    return plan.within_years is None or abs(both[0]["age"] - both[1]["age"]) <= plan.within_years


def is_even(counts: Counter[str], room: Counter[str]) -> bool:
    """Whether all have the same number, but for one, or all they have."""
    most = max(counts.values())
    return all(counts[name] >= min(most - 1, room[name]) for name in room)


@settings(deadline=None, max_examples=300)
@given(manifests(), PLANS, st.integers(0, 5))
def test_a_drawn_list_is_one_that_was_asked_for(utterances: list[Utterance], wanted: dict[str, Any], seed: int) -> None:
    plan = Plan(**wanted)
    try:
        drawn = draw_trials(utterances, plan, seed=seed, source=SOURCE)
    except BadManifest:
        if plan.enrol == 1:
            assert not all(possible(utterances, plan).values()), "refused only if a class has no trials"
        return
    trials = pairs_of(drawn)
    for enrol, test, target in trials:
        assert len({one.id for one in enrol}) == plan.enrol
        assert {one.speaker for one in enrol} == {enrol[0].speaker}
        assert target == (enrol[0].speaker == test.speaker)
        assert fits(enrol, test, plan)
        for one in (*enrol, test):
            assert plan.min_seconds <= one.duration <= (plan.max_seconds or 9.0)
    names = (
        {frozenset([*(one.id for one in enrol), test.id]) for enrol, test, _ in trials}
        if plan.enrol == 1
        else {(enrol[0].id, test.id) for enrol, test, _ in trials}
    )
    assert len(names) == len(trials), "none comes twice"
    if drawn.models is not None:
        members = Counter(drawn.models.ravel().tolist())
        assert set(members.values()) == {1}, "each utterance is in one model"
    assert drawn.target.sum() == drawn.targets.trials <= min(plan.targets or np.inf, drawn.targets.possible)
    if plan.enrol == 1:
        room = possible(utterances, plan)
        assert room == {True: drawn.targets.possible, False: drawn.nontargets.possible}
        targets = Counter(test.speaker for _, test, target in trials if target)
        most = plan.targets_per_speaker or np.inf
        of_each = Counter({name: min(count, most) for name, count in target_room(utterances, plan).items()})
        assert is_even(targets, of_each)
        assert sum(targets.values()) == min(plan.targets or np.inf, sum(of_each.values()))
        expected = (
            room[False] if plan.ratio is None else min(room[False], max(1, round(plan.ratio * sum(targets.values()))))
        )
        assert drawn.nontargets.trials == expected
    shuffled = draw_trials(utterances[::-1], plan, seed=seed, source=SOURCE)
    assert lines_of(shuffled) == lines_of(drawn), "the manifest's order does not matter"


def in_length(utterances: list[Utterance], plan: Plan) -> list[Utterance]:
    return [one for one in utterances if plan.min_seconds <= one.duration <= (plan.max_seconds or 9.0)]


def possible(utterances: list[Utterance], plan: Plan) -> dict[bool, int]:
    found = Counter(
        one.speaker == two.speaker
        for one, two in combinations(in_length(utterances, plan), 2)
        if fits((one,), two, plan)
    )
    return {True: found[True], False: found[False]}


def target_room(utterances: list[Utterance], plan: Plan) -> Counter[str]:
    return Counter(
        one.speaker
        for one, two in combinations(in_length(utterances, plan), 2)
        if one.speaker == two.speaker and fits((one,), two, plan)
    )


def crowd(speakers: int, utterances: int, **fields: object) -> list[Utterance]:
    return [utterance(speaker, number, **fields) for speaker in range(speakers) for number in range(utterances)]


def test_all_pairs_are_all_pairs() -> None:
    utterances = crowd(4, 5)
    drawn = draw(utterances, **ALL)
    assert {frozenset((enrol[0].id, test.id)) for enrol, test, _ in pairs_of(drawn)} == {
        frozenset((one.id, two.id)) for one, two in combinations(utterances, 2)
    }
    assert len(drawn.target) == 190
    assert (drawn.targets.trials, drawn.targets.groups) == (40, 4)
    assert (drawn.nontargets.trials, drawn.nontargets.groups) == (150, 6)


def test_all_trials_of_models_are_all() -> None:
    """Six utterances in models of two: three models, each with four others of the speaker and six of each other."""
    drawn = draw(crowd(3, 6), enrol=2, **ALL)
    assert drawn.models is not None
    assert drawn.models.shape == (9, 2)
    assert (drawn.targets.trials, drawn.nontargets.trials) == (3 * 3 * 4, 9 * 12)


def test_nontargets_are_spread_over_pairs_and_either_side_is_enrolled() -> None:
    drawn = draw(crowd(10, 8), targets=100, ratio=9)
    pairs = Counter(
        frozenset((enrol[0].speaker, test.speaker)) for enrol, test, target in pairs_of(drawn) if not target
    )
    assert set(pairs.values()) == {20}
    assert len(pairs) == 45
    first = sum(enrol[0].id < test.id for enrol, test, _ in pairs_of(drawn))
    assert 400 < first < 600, "either side of a pair is the enrolment"


def test_fewer_nontargets_than_pairs_have_a_pair_each() -> None:
    drawn = draw(crowd(30, 3), targets=20, ratio=5)
    assert (drawn.nontargets.trials, drawn.nontargets.groups, drawn.nontargets.most) == (100, 100, 1)


def test_seeds_draw_other_lists_of_the_same_size() -> None:
    utterances = crowd(6, 6)
    one, other = (draw(utterances, seed, targets=30) for seed in (0, 1))
    assert lines_of(one) == lines_of(draw(utterances, 0, targets=30))
    assert lines_of(one) != lines_of(other)
    assert len(one.target) == len(other.target)


def test_few_utterances_of_each_speaker() -> None:
    drawn = draw(crowd(5, 9), utterances_per_speaker=3, **ALL)
    assert Counter(one.speaker for one in drawn.utterances) == {f"s{speaker:03d}": 3 for speaker in range(5)}
    chosen = {
        frozenset(one.id for one in draw(crowd(5, 9), seed, utterances_per_speaker=3).utterances) for seed in (0, 1)
    }
    assert len(chosen) == 2, "they are drawn"


def test_models_are_of_one_session_where_they_can_be() -> None:
    utterances = [utterance(speaker, number, session=number // 4) for speaker in range(3) for number in range(12)]
    drawn = draw(utterances, enrol=2, across="session", **ALL)
    assert drawn.models is not None
    for enrol, test, target in pairs_of(drawn):
        assert len({one.fields["session"] for one in enrol}) == 1
        assert not target or test.fields["session"] != enrol[0].fields["session"]
    assert drawn.targets.trials == 3 * 6 * 8


def test_speakers_too_poor_for_a_model_are_passed_over() -> None:
    drawn = draw([*crowd(2, 5), utterance(7, 0), utterance(7, 1)], enrol=3, **ALL)
    assert {one.speaker for one in drawn.utterances} == {"s000", "s001"}


def test_across_recordings() -> None:
    utterances = [
        Utterance(id=f"{speaker}{row}", path=Path("x"), speaker=speaker, recording=f"{speaker}{row // 2}")
        for speaker in "ab"
        for row in range(4)
    ]
    drawn = draw(utterances, across="recording", **ALL)
    assert drawn.targets.trials == 2 * 4
    assert all(enrol[0].recording != test.recording for enrol, test, _ in pairs_of(drawn))


def test_ages_are_means_and_may_be_text() -> None:
    utterances = [
        *(utterance(0, number, age=age) for number, age in enumerate([9, 11])),
        *(utterance(1, number, age="14.0") for number in range(2)),
        *(utterance(2, number, age=15) for number in range(2)),
    ]
    drawn = draw(utterances, within_years=4, **ALL)
    pairs = {frozenset((enrol[0].speaker, test.speaker)) for enrol, test, target in pairs_of(drawn) if not target}
    assert pairs == {frozenset(("s000", "s001")), frozenset(("s001", "s002"))}


@pytest.mark.parametrize(
    ("utterances", "plan", "words"),
    [
        (crowd(1, 5), {}, "trials need two speakers; this manifest has fewer"),
        (crowd(4, 2), {"enrol": 3}, "trials need two speakers with 3 utterances or more"),
        (crowd(5, 1), {}, "no target trials: no speaker has two utterances"),
        (crowd(5, 3), {"enrol": 3}, "no speaker has 3 utterances to enrol and another to test"),
        (crowd(3, 3, session="x"), {"across": "session"}, "no speaker has two utterances of another 'session'"),
        (
            [*crowd(1, 3, gender="f", age=6), utterance(1, 0, gender="f", age=30)],
            {"same": ("gender",), "within_years": 4},
            "no nontarget trials: no two speakers agree on 'gender' and are at most 4 years apart",
        ),
        (
            [*crowd(3, 2, gender="f"), *(utterance(4, number) for number in range(3))],
            {"same": ("gender",)},
            "3 of 9 utterances have no 'gender', which a condition needs; add it to the manifest, or drop",
        ),
        ([*crowd(3, 2, age=6), utterance(4, 0)], {"within_years": 4}, "1 of 7 utterances have no 'age'"),
        (crowd(3, 2, age="old"), {"within_years": 4}, "an age that is no number of years: .*'old'"),
        (crowd(3, 2, age="nan"), {"within_years": 4}, "an age that is not finite"),
        (crowd(3, 2), {"across": "session"}, "6 of 6 utterances have no 'session'"),
        (crowd(3, 2, seconds=None), {"min_seconds": 2.0}, "6 of 6 utterances have no 'duration'"),
        (crowd(3, 2), {"max_seconds": 2.0}, "none of 6 utterances lasts 0 to 2 s"),
        (
            [utterance(0, 0, gender="f"), utterance(0, 1, gender="m"), *crowd(2, 2, gender="f")[2:]],
            {"same": ("gender",)},
            "speaker 's000' has several values of 'gender' .'f' and 'm'.; nontarget trials match speakers",
        ),
    ],
)
def test_what_cannot_be_drawn(utterances: list[Utterance], plan: dict[str, Any], words: str) -> None:
    with pytest.raises(BadManifest, match=words) as caught:
        draw(utterances, **plan)
    assert str(caught.value).startswith("test.jsonl: ")


def test_more_trials_than_anybody_can_use() -> None:
    with pytest.raises(BadManifest, match="71,994,000 trials; at most 50,000,000 are drawn, so ask for fewer"):
        draw(crowd(100, 120), **ALL)


def test_a_length_that_nothing_has() -> None:
    with pytest.raises(BadConfig, match="max_seconds 2 is below min_seconds 3"):
        Plan.parse({"min_seconds": 3.0, "max_seconds": 2.0}, "acanet trials")


def test_memory_grows_with_what_is_drawn() -> None:
    """200 million pairs of utterances, 11,000 trials."""
    utterances = crowd(100, 200)
    tracemalloc.start()
    drawn = draw(utterances, targets=1000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(drawn.target) == 11_000
    assert peak < 20e6


# Draws from strata


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12), st.integers(0, 300), st.integers(0, 9))
def test_shares_are_even_and_draws_are_what_was_asked(sizes: list[int], total: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    room = np.array(sizes)
    shares = even_shares(room, total, generator)
    assert shares.sum() == min(total, room.sum())
    assert (shares <= room).all()
    assert (shares >= np.minimum(room, shares.max() - 1)).all()
    drawn = draw_each(room, shares, generator)
    assert (np.diff(drawn) > 0).all()
    stratum = np.searchsorted(np.cumsum(room), drawn, side="right")
    assert np.bincount(stratum, minlength=len(sizes)).tolist() == shares.tolist()


@pytest.mark.parametrize("share", [1, 3, 4, 6, 7])
def test_every_choice_is_as_likely(share: int) -> None:
    """4,000 draws of so many of eight: each item about as often, and so each pair of items (5 standard deviations)."""
    generator = np.random.default_rng(share)
    draws = 4000
    drawn = draw_each(np.full(draws, 8), np.full(draws, share), generator).reshape(draws, share)
    taken = np.zeros((draws, 8), np.int64)
    taken[np.arange(draws)[:, None], drawn % 8] = 1
    together = taken.T @ taken
    for rate, counts in (
        (share / 8, together.diagonal()),
        (share * (share - 1) / 56, together[np.triu_indices(8, 1)]),
    ):
        assert np.abs(counts - draws * rate).max() <= 5 * np.sqrt(draws * rate * (1 - rate))


def test_effective_sizes_by_hand() -> None:
    # Targets: 4 of one speaker and 2 of another are worth 6^2 / (16 + 4) = 1.8.
    speakers = np.array([0, 0, 0, 0, 1, 1])
    assert effective_size(speakers, speakers) == pytest.approx(1.8)
    # Nontargets: all six pairs of four speakers are worth two, as two pairs have no speaker in common.
    one, other = np.array(list(combinations(range(4), 2))).T
    assert effective_size(one, other) == pytest.approx(2.0)
    assert effective_size(np.array([0, 2]), np.array([1, 3])) == pytest.approx(2.0)
    assert effective_size(np.array([0, 1, 0]), np.array([1, 0, 1])) == pytest.approx(1.0), "one pair, whichever side"


@pytest.mark.parametrize("target", [True, False])
def test_the_effective_size_is_that_of_a_mean_with_speaker_effects(target: bool) -> None:
    """When all that differs between trials are effects of speakers, their mean varies as that of so many trials."""
    generator = np.random.default_rng(1)
    enrol = generator.integers(0, 6, 200) ** 2 // 6
    test = enrol if target else (enrol + 1 + generator.integers(0, 4, 200)) % 6
    effects = generator.normal(size=(20_000, 6))
    trials = effects[:, enrol] + effects[:, test]
    worth = trials.var(axis=0).mean() / trials.mean(axis=1).var()
    assert effective_size(enrol, test) == pytest.approx(worth, rel=0.05)


# Files, and the command line


def test_a_list_is_drawn_and_written_in_one_call(manifest: Path, tmp_path: Path) -> None:
    plan = Plan(targets=20, ratio=2, enrol=2)
    drawn, files = draw_list(manifest, tmp_path / "own.trials", plan, seed=3)
    assert files == [tmp_path / "own.trials.enrol", tmp_path / "own.trials"]
    alone = draw_trials(read_manifest(manifest), plan, seed=3, source=manifest)
    np.testing.assert_array_equal(drawn.test, alone.test)
    assert len(read_trials(tmp_path / "own.trials")) == len(drawn.target) == 60
    with pytest.raises(AcanetError, match="exists; remove it"):  # before anything is read
        draw_list(tmp_path / "nowhere.jsonl", tmp_path / "own.trials", plan)
    with pytest.raises(BadManifest, match="6 of its speakers"):
        draw_list(manifest, tmp_path / "other.trials", plan, apart_from=[manifest])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Six speakers, eight files each, in two sessions; plain lines."""
    entries = [
        {
            "path": f"wav/s{speaker}/{number}.wav",
            "speaker": f"s{speaker}",
            "gender": "fm"[speaker % 2],
            "age": 20 + 3 * speaker,
            "session": number // 4,
            "duration": 1.0 + number,
        }
        for speaker in range(6)
        for number in range(8)
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")
    return path


def test_a_list_by_the_command_line(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.trials"
    answer = acanet("trials", manifest, "-o", path, "--targets", "60", "--ratio", "5", "--seed", "3")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines() == [
        "360 trials of 6 speakers, 48 utterances",
        "  target     60 of 168 possible, of 6 speakers, 10 each; effective sample size 6.0",
        "  nontarget  300 of 960 possible, of 15 pairs of speakers, 20 each; effective sample size 3.0",
        f"seed 3; in {path}",
    ]
    trials = read_trials(path)
    assert (len(trials), int(trials.target.sum())) == (360, 60)
    assert trials.names[0].startswith("wav/s0/"), "as the manifest writes it"
    sides = find_sides(
        trials, manifest=manifest
    )  # which sees that the labels are right, and nothing is tested on itself
    assert len(sides.utterances) == 48
    again = tmp_path / "again.trials.gz"
    assert acanet("trials", manifest, "-o", again, "--targets", "60", "--ratio", "5", "--seed", "3").code == 0
    assert gzip.decompress(again.read_bytes()) == path.read_bytes()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["again.trials.gz", "own.trials", "test.jsonl"]


def test_all_conditions_together(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "hard.trials"
    voices = ["--same", "gender", "--same", "language", "--within-years", "6", "--across", "session"]
    lengths = ["--min-seconds", "2", "--max-seconds", "7"]
    lines = [json.loads(line) | {"language": "en"} for line in manifest.read_text(encoding="utf-8").splitlines()]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    answer = acanet("trials", manifest, "-o", path, "--all", *voices, *lengths)
    assert answer.code == 0, answer.err
    by_id = {one.id: one for one in read_manifest(manifest)}
    trials = read_trials(path)
    found = set()
    for enrol, test, target in zip(trials.enrol, trials.test, trials.target, strict=True):
        one, two = by_id[trials.names[enrol]], by_id[trials.names[test]]
        assert all(2 <= side.duration <= 7 for side in (one, two))
        assert not target or one.fields["session"] != two.fields["session"]
        assert one.fields["gender"] == two.fields["gender"]
        found.add((one.speaker, two.speaker) if one.speaker < two.speaker else (two.speaker, one.speaker))
    assert found == {(f"s{one}", f"s{two}") for one, two in [(i, i) for i in range(6)] + [(i, i + 2) for i in range(4)]}
    assert (int(trials.target.sum()), len(trials)) == (6 * 3 * 3, 6 * 9 + 4 * 36)


def test_models_by_the_command_line(manifest: Path, tmp_path: Path) -> None:
    path = tmp_path / "own.trials"
    answer = acanet("trials", manifest, "-o", path, "--enrol", "3", "--across", "session", "--all")
    assert answer.code == 0, answer.err
    assert answer.out.splitlines()[0].endswith(", 12 models of 3")
    assert answer.out.splitlines()[-1] == f"seed 0; in {path}.enrol and {path}"
    enrolments = read_enrolments(f"{path}.enrol")
    assert list(enrolments.models)[:3] == ["s0:1", "s0:2", "s1:1"]
    assert {len(members) for members in enrolments.models.values()} == {3}
    trials = read_trials(path)
    sides = find_sides(trials, manifest=manifest, enrolments=enrolments)
    for enrol, test, target in zip(trials.enrol, trials.test, trials.target, strict=True):
        members, tested = ([sides.utterances[row] for row in sides.members[name]] for name in (enrol, test))
        assert len(members) == 3
        assert not target or tested[0].fields["session"] not in {one.fields["session"] for one in members}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--all", "--targets", "5"], "takes no --targets, --ratio or --targets-per-speaker"),
        (["--min-seconds", "3", "--max-seconds", "2"], "max_seconds 2 is below min_seconds 3"),
        (["--same", "codec"], "test.jsonl: 48 of 48 utterances have no 'codec'"),
        (["--ratio", "0"], "ratio"),
        (["--apart-from", "train.jsonl"], "test.jsonl: 2 of its speakers (s1, s4) are in train.jsonl too"),
        (["--apart-from", "absent.jsonl"], "absent.jsonl: there is no such file"),
        (["-o", "test.jsonl"], "test.jsonl exists; remove it, or choose another name"),
        (["-o", "absent/own.trials"], "there is no folder absent; make it first"),
        (["--enrol", "2", "-o", "taken"], "taken.enrol exists; remove it, or choose another name"),
    ],
)
def test_what_the_command_line_refuses(
    options: list[str], words: str, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [{"path": f"{name}.wav", "speaker": name} for name in ("s1", "zoe", "s4")]
    Path("train.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    Path("taken.enrol").touch()
    before = sorted(Path().iterdir())
    answer = acanet("trials", manifest.name, "-o", "own.trials", *options)
    assert answer.code == 2
    assert words in answer.err.replace("│ ", "")
    assert sorted(Path().iterdir()) == before


def test_training_on_others_is_no_hindrance(manifest: Path, tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    train.write_text('{"path": "x.wav", "speaker": "zoe"}\n', encoding="utf-8")
    assert acanet("trials", manifest, "-o", tmp_path / "own.trials", "--apart-from", train).code == 0


@pytest.mark.parametrize("name", ["a b", "a\tb", "target", "nontarget", "\ud800"])
def test_names_that_no_list_can_hold(name: str, tmp_path: Path) -> None:
    odd = Utterance(id=name, path=Path("x"), speaker="s000", recording="x")
    drawn = draw([*crowd(2, 2), odd], **ALL)
    with pytest.raises(AcanetError, match="cannot stand in a list; names in a list are text without white space"):
        write_trials(tmp_path / "own.trials", drawn)
    assert list(tmp_path.iterdir()) == []


def test_a_speaker_with_a_space_gives_no_name_to_a_model(tmp_path: Path) -> None:
    utterances = [
        Utterance(id=f"{speaker[0]}{row}", path=Path("x"), speaker=speaker, recording="x")
        for speaker in ("anna b", "carl")
        for row in range(3)
    ]
    write_trials(tmp_path / "own.trials", draw(utterances, **ALL))
    with pytest.raises(AcanetError, match="1 names such as 'anna b:1' cannot stand in a list"):
        write_trials(tmp_path / "models.trials", draw(utterances, enrol=2, **ALL))


def test_a_model_is_not_called_as_an_utterance(tmp_path: Path) -> None:
    clash = Utterance(id="s000:1", path=Path("x"), speaker="s000", recording="x")
    with pytest.raises(AcanetError, match="'s000:1' is the name of a model and of an utterance; rename the utterance"):
        write_trials(tmp_path / "own.trials", draw([*crowd(2, 3), clash], enrol=2, **ALL))


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=6).filter(
    lambda name: name not in ("target", "nontarget")
)


@settings(deadline=None)
@given(st.lists(NAMES, min_size=6, max_size=12, unique=True), st.integers(1, 2))
def test_any_names_come_back(tmp_path_factory: pytest.TempPathFactory, names: list[str], enrol: int) -> None:
    utterances = [
        Utterance(id=name, path=Path(name), speaker="ab"[row % 2], recording=name) for row, name in enumerate(names)
    ]
    drawn = draw(utterances, enrol=enrol, **ALL)
    path = tmp_path_factory.mktemp("list") / "own.trials"
    if enrol > 1 and {"a:1", "a:2", "b:1", "b:2"} & set(names):
        return
    write_trials(path, drawn)
    trials = read_trials(path)
    models = read_enrolments(f"{path}.enrol").models if enrol > 1 else {name: (name,) for name in names}
    back = [
        (models[trials.names[one]], trials.names[two], target)
        for one, two, target in zip(trials.enrol, trials.test, trials.target.tolist(), strict=True)
    ]
    assert back == lines_of(drawn)


@pytest.mark.speech
def test_the_lists_of_speechocean762_in_kind(shared: Path, tmp_path: Path) -> None:
    """The published dev lists: all targets, and the very same nontargets in the hard one."""
    manifest = shared / "data/speechocean762.dev.jsonl"
    hard, usual = tmp_path / "dev.hard.trials", tmp_path / "dev.trials"
    answer = acanet("trials", manifest, "-o", hard, "--same", "gender", "--within-years", "4", "--all")
    assert answer.code == 0, answer.err
    assert "of 78 pairs of speakers" in answer.out
    assert acanet("trials", manifest, "-o", usual, "--ratio", "10").code == 0
    for path in (hard, usual):
        drawn, published = read_trials(path), read_trials(shared / "protocols/speechocean762" / path.name)
        assert len(drawn) == len(published)
        sets = [
            {
                (target, frozenset((listed.names[one], listed.names[two])))
                for one, two, target in zip(listed.enrol, listed.test, listed.target.tolist(), strict=True)
                if target or path == hard
            }
            for listed in (drawn, published)
        ]
        assert sets[0] == sets[1]
    find_sides(read_trials(usual), audio_root=shared / "data")


@pytest.mark.speech
def test_a_list_in_the_size_of_the_published_test_list(shared: Path, tmp_path: Path) -> None:
    manifest, train = (shared / f"data/speechocean762.{name}.jsonl" for name in ("test", "train"))
    path = tmp_path / "test.trials"
    answer = acanet("trials", manifest, "-o", path, "--targets", "8000", "--apart-from", train)
    assert answer.code == 0, answer.err
    drawn, published = read_trials(path), read_trials(shared / "protocols/speechocean762/test.trials")
    assert (len(drawn), int(drawn.target.sum())) == (len(published), int(published.target.sum())) == (88_000, 8_000)
    assert set(drawn.names) == set(published.names)


def test_copies_are_passed_over_and_names_alike_are_told(tmp_path: Path) -> None:
    lines = [
        {"path": f"{who}/{take}.wav", "speaker": who, "id": f"{who}-{take}", "audio_hash": f"{who}{take}"}
        for who in ("anna", "Anna", "bo")
        for take in range(3)
    ]
    lines += [{**lines[0], "id": "again"}, {**lines[1], "id": "copy", "path": "elsewhere.wav"}]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (
        pytest.warns(AlikeWarning, match="'Anna' and 'anna' differ in case"),
        pytest.warns(CopyWarning, match="2 utterances are the recording of an earlier one, .*: 'again', 'copy'"),
    ):
        drawn, _ = draw_list(tmp_path / "m.jsonl", tmp_path / "list", Plan(targets=None, ratio=None), seed=0)
    assert sorted(utterance.id for utterance in drawn.utterances) == sorted(line["id"] for line in lines[:9])
    with pytest.warns(AlikeWarning):
        find_sides(read_trials(tmp_path / "list"), manifest=tmp_path / "m.jsonl")
