"""What the benchmarks count and how they take turns; what they measure is another machine's tomorrow."""

from __future__ import annotations

import importlib.util
import sys
import time
from types import ModuleType
from xml.etree import ElementTree

import pytest

from acanet.errors import BadConfig
from acanet.experiment.run_card import read_json
from acanet.experiment.speed import Speed
from acanet.models.registry import model_size
from support.paths import BENCHMARKS as FOLDER


@pytest.fixture(scope="module")
def inference() -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER)
        spec = importlib.util.spec_from_file_location("inference", FOLDER / "inference.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "inference", module)
        spec.loader.exec_module(module)
        yield module


def result(inference, system, seconds, milliseconds, ratio=1.0, gflop=1.0, threads=1):
    """One at 100 GFLOP/s."""
    share = None if gflop is None else gflop / (milliseconds / 1000) / 100
    return inference.Result(
        system, threads, seconds, milliseconds, milliseconds, 3, ratio, 100.0, gflop, share, megabytes=90.0
    )


def test_work_of_the_published_network(inference):
    """What `acanet models` counts, and the front end: a product with the Fourier matrix, one with the filters."""
    frames, window, bins, mels = 298, 400, 255, 80
    front_end = 2 * frames * bins * (2 * window + mels)
    counted = 2 * model_size("acanet").macs_3s + front_end
    assert round(1e9 * inference.gflop("acanet, torch", 3)) == counted
    channels, latents = 256, 192
    layer = 2 * channels**3 + channels**2  # two products of matrices, and that of a bias
    folded = 4 * layer + latents * channels**2  # the first queries are a constant
    assert round(1e9 * inference.gflop("acanet", 3)) == counted - 2 * folded


def test_the_authors_layout_does_not_fold(inference):
    """It projects keys and values of every frame, in four layers."""
    frames, channels, latents = 298, 256, 192
    projections = 2 * 4 * 2 * frames * channels**2
    queries = 2 * latents * channels**2  # of the first layer, which are a constant in ours
    ours = inference.gflop("acanet", 3)
    assert round(1e9 * (inference.gflop(inference.AUTHORS, 3) - ours)) == projections + queries


def test_slow_systems_sit_rounds_out(inference):
    order = []

    def slow():
        order.append("slow")
        time.sleep(0.15)

    times = inference.in_turns({"quick": lambda: order.append("quick"), "slow": slow}, rounds=6, budget=0.3)
    assert [len(times["quick"]), len(times["slow"])] == [6, 3]
    assert min(times["slow"]) >= 0.15
    warm_up, turns = order[:4], order[4:]
    assert warm_up == ["quick", "quick", "slow", "slow"]
    assert turns == (["quick"] * 4 + ["slow"]) * 3  # two calls a turn of what is quick, and the second counts


def test_bounds_are_judged_where_they_were_measured(inference):
    found = [
        result(inference, inference.OURS, 3, 15.0),
        result(inference, inference.AUTHORS, 3, 24.0, ratio=1.6),
        result(inference, inference.LARGE, 3, 45.0, ratio=3.0),
    ]
    lines = [line for bound in inference.BOUNDS if (line := inference.judge(bound, found))]
    assert [line.split(": ")[-1] for line in lines] == ["kept", "MISSED", "MISSED"]
    assert "acanet takes 1.50 times as long as its GFLOP at the measured peak (at most 1.4)" in lines[1]
    assert "ecapa-1024 takes 3.00 times as long as acanet (at least 4.0)" in lines[2]


def test_the_report_has_a_row_for_each_system(inference):
    found = [
        result(inference, name, seconds, 10.0 * seconds, gflop=gflop)
        for seconds in (1, 3)
        for name, gflop in ((inference.OURS, 0.5), ("Resemblyzer", None))
    ]
    lines = inference.report(found).splitlines()
    assert "| system | 1 s | 3 s |" in lines
    assert "| acanet | 10.0 (10.0), 1.00× | 30.0 (30.0), 1.00× |" in lines
    assert "| acanet | 0.50, 50% | 0.50, 17% |" in lines
    assert "| Resemblyzer |  |  |" in lines


def test_the_medians_are_kept_as_the_results_page_reads_them(inference, tmp_path):
    found = [
        result(inference, name, seconds, 10.0 * seconds, ratio=ratio)
        for seconds in (3, 60)
        for name, ratio in ((inference.OURS, 1.0), ("ecapa-512", 2.5))
    ]
    found.append(result(inference, "ecapa-512", 3, 7.0, threads=2))
    (tmp_path / "speed.json").write_text(inference.speed(found).as_json())
    speed = read_json(Speed, tmp_path / "speed.json")
    assert [speed.milliseconds("ecapa-512", seconds) for seconds in (3, 60, 10)] == [30.0, 600.0, None]
    assert speed.milliseconds("campplus", 3) is None
    assert {timing.ratio for timing in speed.timings if timing.system == "ecapa-512"} == {2.5, 1.0}
    (tmp_path / "speed.json").write_text(speed.as_json().replace("processor", "procesor"))
    with pytest.raises(BadConfig, match="did you mean 'processor'"):
        read_json(Speed, tmp_path / "speed.json")


def test_any_registered_model_can_be_measured(inference, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["inference.py", "--systems", "acanet", "acanet-mean"])
    assert inference.read_options().systems == ["acanet", "acanet-mean"]
    assert inference.system_of("acanet-mean") == inference.System(inference.exported, "acanet-mean")
    for words, told in (
        (("--systems", "acanet", "acanett"), "'acanett' is none of"),
        (("--systems", "acanet-mean"), "--systems need acanet"),
        (("--profile", "acanet, torch"), "--profile is for models as exported"),
    ):
        monkeypatch.setattr(sys, "argv", ["inference.py", *words])
        with pytest.raises(SystemExit):
            inference.read_options()
        assert told in capsys.readouterr().err


def test_the_chart_says_what_it_shows(inference, tmp_path):
    pytest.importorskip("matplotlib")
    found = [result(inference, inference.OURS, seconds, 10.0 * seconds) for seconds in (1, 3, 60)]
    inference.write(tmp_path / "chart.svg", lambda path: inference.draw(path, found, "a processor"))
    assert [path.name for path in tmp_path.iterdir()] == ["chart.svg"]
    root = ElementTree.parse(tmp_path / "chart.svg").getroot()
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert "1 thread, a processor" in title.text
    texts = {"".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"acanet", "seconds of speech", "60"} <= texts
