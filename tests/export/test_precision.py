"""int8 and fp16 twins: what is made smaller and what is not, the gate, and what the card tells."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from acanet.encoder import Encoder
from acanet.errors import AcanetError
from acanet.export import export as module
from acanet.export import gate, twins
from acanet.export import precision as conversion
from acanet.export.export import export_model
from acanet.export.precision import convert
from acanet.export.twins import ErrorRates, TrialList, Twin, compare
from acanet.runtime.bundle import Bundle
from acanet.runtime.check import check
from acanet.runtime.golden import Golden
from acanet.runtime.onnx import OnnxNetwork
from acanet.scoring.measure import Measure
from support.commands import acanet
from support.networks import waveforms


@pytest.fixture(scope="module")
def plain(tiny_graphs, tiny_bundle, tmp_path_factory):
    """The float32 export of the tiny model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "graph_files", lambda *_: tiny_graphs)
        patch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))
        return export_model(tiny_bundle, tmp_path_factory.mktemp("float32") / "bundle").bundle


@pytest.fixture(scope="module")
def trials(voices, tmp_path_factory):
    """Targets and nontargets of voices that the tiny model says it was not trained on."""
    files = {name: [f"{name}/{i:03d}.wav" for i in range(3)] for name in ("s003", "s004", "s005")}
    lines = [f"1 {each[0]} {other}" for each in files.values() for other in each[1:]]
    lines += [f"0 {files['s003'][0]} {other}" for name in ("s004", "s005") for other in files[name]]
    path = tmp_path_factory.mktemp("lists") / "few.trials"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return TrialList(path, audio_root=voices)


@pytest.fixture(scope="module")
def made(tiny_graphs, tiny_bundle, trials, tmp_path_factory):
    """Both twins; the first with figures of a trial list."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "graph_files", lambda *_: tiny_graphs)
        patch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))
        folder = tmp_path_factory.mktemp("twins")
        return {
            "int8": export_model(tiny_bundle, folder / "int8", precision="int8", trials=trials),
            "fp16": export_model(tiny_bundle, folder / "fp16", precision="fp16"),
        }


@pytest.fixture
def quick(tiny_graphs, monkeypatch):
    """Export without tracing, on short recordings."""
    monkeypatch.setattr(module, "graph_files", lambda *_: tiny_graphs)
    monkeypatch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))


def by_hand(kind="MatMul"):
    """log(x + 1) @ w after a product of x; and a product of two things that are no weights."""
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(8, 8)).astype(np.float32) for name in ("before", "after")}
    nodes = [
        helper.make_node("MatMul", ["waveforms", "before"], ["spectrum"], "front"),
        helper.make_node("Mul", ["spectrum", "spectrum"], ["power"], "square"),
        helper.make_node("Add", ["power", "one"], ["floored"], "floor"),
        helper.make_node("Log", ["floored"], ["features"], "log"),
        helper.make_node(kind, ["features", "after"], ["frames"], "weights"),
        helper.make_node("Transpose", ["frames"], ["turned"], "turn", perm=[1, 0]),
        helper.make_node("MatMul", ["frames", "turned"], ["embeddings"], "attention"),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    constants.append(numpy_helper.from_array(np.float32(1), "one"))
    inputs = [helper.make_tensor_value_info("waveforms", TensorProto.FLOAT, ["batch", 8])]
    outputs = [helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["batch", "batch"])]
    graph = helper.make_graph(nodes, "whole", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), weights


def test_only_products_with_weights_after_the_logarithm_are_found():
    model, _ = by_hand()
    assert conversion._products(model.graph, ("MatMul",)) == (["weights"], [])


def test_fp16_rounds_what_goes_into_such_a_product_and_nothing_else():
    model, weights = by_hand()
    before = model.SerializeToString()
    halved = convert(model, "fp16")
    assert model.SerializeToString() == before
    given = 1e4 * np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)  # its power is beyond fp16
    (found,) = ReferenceEvaluator(halved).run(None, {"waveforms": given})
    features = np.log(np.square(given @ weights["before"]) + np.float32(1))
    frames = (features.astype(np.float16) @ weights["after"].astype(np.float16)).astype(np.float32)
    np.testing.assert_allclose(found, frames @ frames.T, rtol=5e-3, atol=0.5)
    kinds = {tensor.name: tensor.data_type for tensor in halved.graph.initializer}
    assert kinds == {"before": TensorProto.FLOAT, "after": TensorProto.FLOAT16, "one": TensorProto.FLOAT}


def test_a_model_without_such_products_is_refused():
    model, _ = by_hand()
    model.graph.node[4].op_type = "Mul"
    with pytest.raises(AcanetError, match="no products that int8 makes smaller; export it in float32"):
        convert(model, "int8")


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_twin_is_a_bundle_with_a_fingerprint_of_its_own(made, plain, precision):
    bundle = Bundle.load(made[precision].bundle.folder)
    graphs = bundle.graphs
    assert (graphs.precision, graphs.pieces) == (precision, None)
    assert graphs.stages == ("whole", "attention", "speech-features", "speech")
    assert graphs.origin == plain.fingerprint
    assert len({plain.fingerprint, *(each.bundle.fingerprint for each in made.values())}) == 3
    assert bundle.provenance == plain.provenance
    assert check(bundle) < 1e-6
    assert acanet("check", bundle.folder).code == 0
    for stage in graphs.stages:
        path = bundle.folder / f"{stage}.onnx"
        onnx.checker.check_model(path, full_check=True)
        about = {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}
        assert about["acanet.fingerprint"] == bundle.fingerprint


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_its_embeddings_are_close_and_not_the_same(made, plain, precision):
    done = made[precision]
    golden = Golden.load(plain)
    found = OnnxNetwork(done.bundle).embed_waveforms(golden.waveforms)
    assert 1e-6 < np.abs(found - golden.embeddings).max() <= done.twin.difference
    assert done.bundle.graphs.allowed == pytest.approx(max(2 * done.twin.difference, 1e-4))
    assert (found * golden.embeddings).sum(axis=1).min() >= done.twin.cosine - 1e-6
    assert 0.98 <= done.twin.cosine < 1
    attention = OnnxNetwork(done.bundle).attention(golden.waveforms[2])
    np.testing.assert_allclose(attention, OnnxNetwork(plain).attention(golden.waveforms[2]), rtol=0, atol=0.02)


@pytest.mark.parametrize(("precision", "allowed"), [("int8", 1e-6), ("fp16", 1e-4)])
def test_company_changes_no_embedding(made, precision, allowed):
    network = OnnxNetwork(made[precision].bundle)
    loud, short, equal = waveforms([24000, 9000, 9000])
    together = network.embed_waveforms([loud, 0.01 * short, equal])
    alone = np.concatenate([network.embed_waveforms([each]) for each in (loud, 0.01 * short, equal)])
    np.testing.assert_allclose(together, alone, rtol=0, atol=allowed)


def test_it_is_smaller_and_the_encoder_runs_it(made, voices):
    plain, twin = made["int8"].twin.megabytes
    assert twin < plain
    assert made["fp16"].twin.megabytes[1] < plain
    embedding = Encoder.load(made["int8"].bundle.folder).embed(voices / "s000" / "000.wav")
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)


def test_the_card_tells_size_speed_and_error_rate(made, plain, trials):
    card = (made["int8"].bundle.folder / "README.md").read_text(encoding="utf-8")
    assert card.startswith("# tiny\n\n## Export\n")
    for words in ("| graphs and weights, MB |", "| 3 s, one thread, ms |", "| 10 s, one thread, ms |"):
        assert words in card
    assert made["int8"].bundle.fingerprint in card
    assert "EER on few.trials: float32 " in card
    rates = made["int8"].twin.rates
    assert rates.change.value == pytest.approx(rates.twin.value - rates.plain.value)
    assert rates.change.low <= rates.change.value <= rates.change.high
    assert rates == twins.error_rates(plain, made["int8"].bundle, trials)
    assert "The change of EER was not measured" in (made["fp16"].bundle.folder / "README.md").read_text()


def twin_of(**changes):
    fields = {"precision": "int8", "cosine": 0.99, "difference": 0.01, "megabytes": (9.0, 4.0), "rates": None}
    return Twin(**(fields | {"milliseconds": {3: (12.0, 10.0), 10: (30.0, 20.0)}} | changes))


def test_the_verdict_is_float32_unless_the_twin_is_faster():
    assert twin_of().verdict == (
        "int8 is faster than float32 on this processor: 1.20 times as fast at 3 s and 1.50 times as fast at 10 s"
    )
    for times in ({3: (10.0, 10.0), 10: (30.0, 20.0)}, {3: (12.0, 10.0), 10: (20.8, 20.0)}):
        assert twin_of(milliseconds=times).verdict.startswith("int8 gains no speed on this processor: ")
        assert twin_of(milliseconds=times).verdict.endswith("; keep float32, unless size decides")


def test_error_rates_are_told_with_intervals():
    rates = ErrorRates(
        "dev",
        Measure(value=0.05, low=0.04, high=0.06),
        Measure(value=0.051, low=0.041, high=0.061),
        Measure(value=0.001, low=-0.002, high=0.004),
    )
    assert twin_of(rates=rates).error_rate == (
        "EER on dev: float32 5.00 % [4.00, 6.00], int8 5.10 % [4.10, 6.10]; change +0.10 % [-0.20, +0.40], paired"
    )


def test_a_twin_that_is_too_far_from_its_original_is_not_written(made, quick, tiny_bundle, tmp_path, monkeypatch):
    network = OnnxNetwork(made["int8"].bundle)
    given = waveforms([9000, 16000])
    expected = network.embed_waveforms(given)
    assert compare(network, given, expected) == (pytest.approx(1, abs=1e-6), pytest.approx(0, abs=1e-6))
    with pytest.raises(AcanetError, match=r"0\.56 s: the cosine between its int8 and float32 embeddings is -1\.0000"):
        compare(network, given, expected * np.array([[-1], [1]], np.float32))
    with pytest.raises(AcanetError, match=r"1\.00 s: .* is -inf, at least 0\.98 is needed; export .* in float32"):
        compare(network, given, expected * np.array([[1], [np.nan]], np.float32))
    monkeypatch.setattr(twins, "LEAST_COSINE", 1.1)
    answer = acanet("export", tiny_bundle, "-o", tmp_path / "new", "--precision", "int8")
    assert answer.code == 2
    assert "export this model in float32" in answer.err
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_gained(quick, tiny_bundle, tmp_path, voices, trials):
    answer = acanet(
        "export", tiny_bundle, "-o", tmp_path / "new", "--precision", "int8", "--trials", trials.path,
        "--audio-root", voices,
    )  # fmt: skip
    assert (answer.code, answer.err) == (0, "")
    lines = answer.out.splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("lowest cosine to float32 ")
    assert " on this processor: " in lines[1]
    assert lines[2].startswith("EER on few.trials: ")
    assert json.loads((tmp_path / "new" / "config.json").read_text())["onnx"]["precision"] == "int8"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trials", "list"], "float32 changes no EER"),
        (["--precision", "int8", "--trials", "list"], "give --audio-root or --manifest"),
        (["--precision", "int8", "--audio-root", "."], "give a list"),
        (["--precision", "int4"], "int4"),
    ],
)
def test_options_that_say_nothing_together_are_refused(options, said, tiny_bundle, tmp_path):
    answer = acanet("export", tiny_bundle, "-o", tmp_path / "new", *options)
    assert answer.code == 2
    assert said in " ".join(answer.err.replace("│", " ").split())
    assert not (tmp_path / "new").exists()
