"""torch -> ONNX: the same embeddings, one file of weights, and nothing written when anything differs."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import onnx
import pytest
import soundfile
import torch

from acanet.encoder import Encoder
from acanet.errors import AcanetError, ExportMismatch
from acanet.export import export as module
from acanet.export import gate, graphs
from acanet.export.export import export_model
from acanet.export.gate import LENGTHS, compare
from acanet.models.registry import model_names
from acanet.runtime.bundle import Bundle, BundleConfig, Provenance, write_bundle
from acanet.runtime.check import check
from acanet.runtime.golden import Golden
from acanet.runtime.onnx import OnnxNetwork
from support.commands import acanet
from support.graphs import scaled
from support.networks import small, waveforms

SPEECH = {"speech-features", "speech"}
"""What finds speech where a model does not: the graphs that come with acanet, which hold their own weights."""


@pytest.fixture(scope="module")
def exported(tiny_graphs, tiny_bundle, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "graph_files", lambda *_: tiny_graphs)
        return export_model(tiny_bundle, tmp_path_factory.mktemp("exported") / "bundle")


@pytest.fixture
def quick(tiny_graphs, monkeypatch):
    """Export without tracing, on short recordings; returns the files, to be changed."""
    files = dict(tiny_graphs)
    monkeypatch.setattr(module, "graph_files", lambda *_: files)
    monkeypatch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))
    return files


def test_an_export_gives_the_same_embeddings(exported, tiny_bundle, voices):
    assert exported.alone < 1e-5
    assert exported.padded < 1e-5
    assert 0 < exported.in_pieces < 1e-5
    assert exported.recordings == 20
    original, light = Encoder.load(tiny_bundle), Encoder.load(exported.bundle.folder)
    path = voices / "s000" / "000.wav"
    np.testing.assert_allclose(light.embed(path), original.embed(path), rtol=0, atol=1e-5)
    assert light.fingerprint == original.fingerprint
    assert (light.rate, light.dim, light.name) == (16000, 16, "acanet-local")
    assert light.training_speakers == {"zoe"}


def test_the_ten_lengths_go_from_half_a_second_to_a_minute():
    assert len(LENGTHS) == 10
    assert (LENGTHS[0], LENGTHS[-1]) == (0.5, 60.0)
    assert np.allclose(np.diff(np.log(LENGTHS)), np.log(120) / 9, atol=1e-2)


def test_graphs_are_sound_and_share_one_file_of_weights(exported):
    bundle = exported.bundle
    graphs = bundle.graphs
    own = {"whole", "attention", "features", "frames", "pass", "latents-0", "latents-1", "readout"}
    assert own | SPEECH == set(graphs.stages)
    assert set(graphs.files) == {f"{stage}.onnx" for stage in graphs.stages} | {"weights.bin"}
    assert {path.name for path in bundle.folder.iterdir()} == set(graphs.files) | {
        "README.md",
        "config.json",
        "golden.npz",
        "provenance.json",
    }
    places = {}
    for stage in graphs.stages:
        path = bundle.folder / f"{stage}.onnx"
        onnx.checker.check_model(path, full_check=True)
        model = onnx.load(path, load_external_data=False)
        assert model.opset_import[0].version >= 18
        if stage in SPEECH:
            continue
        assert all(len(tensor.raw_data) < 1024 for tensor in model.graph.initializer)
        outside = {
            (int(entry["offset"]), int(entry["length"]))
            for tensor in model.graph.initializer
            if (entry := {each.key: each.value for each in tensor.external_data})
        }
        places[stage] = outside
    assert all(places[stage] for stage in ("frames", "readout", "features"))
    for stage in own:
        shared = places[stage] & places["whole"]
        assert sum(length for _, length in shared) >= 0.9 * sum(length for _, length in places[stage])
    size = (bundle.folder / "weights.bin").stat().st_size
    assert max(offset + length for offset, length in set().union(*places.values())) <= size


def test_no_projection_of_frames_is_left(exported):
    """The frames meet the attention's matrices nowhere: of products with all frames, only those of ACA remain."""
    model = onnx.load(exported.bundle.folder / "pass.onnx")
    products = [node for node in model.graph.node if node.op_type in {"MatMul", "Gemm"}]
    assert len(products) == 3  # scores, sum of frames, sum of squares
    assert not any(len(tensor.dims) == 2 for tensor in model.graph.initializer)


def test_graphs_say_what_they_are_and_not_where_they_were_made(exported):
    folder = exported.bundle.folder
    for stage in set(exported.bundle.graphs.stages) - SPEECH:
        model = onnx.load(folder / f"{stage}.onnx", load_external_data=False)
        assert {entry.key: entry.value for entry in model.metadata_props} == {
            "acanet.name": "acanet-local",
            "acanet.rate": "16000",
            "acanet.dim": "16",
            "acanet.fingerprint": exported.bundle.fingerprint,
            "acanet.licence": "Apache-2.0",
        }
        content = (folder / f"{stage}.onnx").read_bytes()
        assert b".py" not in content
        assert b"site-packages" not in content


@pytest.mark.parametrize("chunk", [10, 64])
def test_stages_give_the_whole(exported, chunk):
    network = OnnxNetwork(exported.bundle)
    (waveform,) = waveforms([30000])
    with network.in_pieces(piece=chunk) as piecewise:
        piecewise.feed(waveform)
        np.testing.assert_allclose(piecewise.embedding(), network.embed_waveforms([waveform])[0], rtol=0, atol=1e-5)


def test_golden_recordings_are_replayed(exported):
    golden = Golden.load(exported.bundle)
    assert [len(waveform) for waveform in golden.waveforms] == [round(16000 * seconds) for seconds in LENGTHS[:3]]
    assert golden.embeddings.shape == (3, 16)
    assert check(exported.bundle) < 1e-5
    answer = acanet("check", exported.bundle.folder)
    assert (answer.code, answer.err) == (0, "")
    assert re.fullmatch(r"largest difference from the export: \d\.\de-0\d\n", answer.out)


def test_other_embeddings_are_refused(exported, tiny_bundle):
    network = OnnxNetwork(exported.bundle)
    given = waveforms([8000, 9000, 16000])
    expected = network.embed_waveforms(given)
    assert compare(network, given, expected).worst < 1e-5
    moved = expected.copy()
    moved[1, 3] += 2e-4
    with pytest.raises(ExportMismatch, match=r"recordings of 0\.56 s, alone: embeddings differ by 2\.0e-04"):
        compare(network, given, moved)
    moved[1, 3] = np.nan
    with pytest.raises(ExportMismatch, match="differ by inf"):
        compare(network, given, moved)


def test_an_export_that_differs_is_not_written(quick, tiny_bundle, tmp_path):
    weights = np.frombuffer(quick["weights.bin"], np.float32)
    quick["weights.bin"] = (weights * np.float32(1.01)).tobytes()
    answer = acanet("export", tiny_bundle, "-o", tmp_path / "new")
    assert answer.code == 2
    assert re.search(r"recordings of 0\.50 s, alone: embeddings differ by .*do not use this export", answer.err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["features", "frames", "pass", "latents-1"])
def test_an_export_whose_stages_differ_is_not_written(quick, tiny_bundle, tmp_path, stage):
    """The stages that stream hours, of which the whole says nothing."""
    quick[f"{stage}.onnx"] = scaled(quick[f"{stage}.onnx"], -1.0)
    answer = acanet("export", tiny_bundle, "-o", tmp_path / "new")
    assert answer.code == 2
    assert re.search(r"recordings of 0\.50 s, in pieces: embeddings differ by .*do not use this export", answer.err)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_receptive_field_is_noticed_by_the_export(quick, tiny_bundle, tmp_path, monkeypatch):
    right = module.pieces

    def wrong(folded):
        assert right(folded).reach > right(folded).stride
        return right(folded).model_copy(update={"reach": 0})

    monkeypatch.setattr(module, "pieces", wrong)
    with pytest.raises(ExportMismatch, match=r"recordings of .* s, in pieces: embeddings differ"):
        export_model(tiny_bundle, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_recordings_take_part_in_the_comparison(quick, tiny_bundle, tmp_path, voices):
    answer = acanet("export", tiny_bundle, "-o", tmp_path / "new", "--audio", voices / "s000" / "000.wav")
    assert (answer.code, answer.err) == (0, "")
    told = r"9 recordings of 0\.5 to 60 s: largest difference from torch \S+ alone, \S+ in batches, \S+ in pieces\n"
    assert re.match(told, answer.out)
    assert "acanet-local, " in answer.out
    card = (tmp_path / "new" / "README.md").read_text()
    assert card.startswith("# tiny\n\n## Export\n")
    assert "0.5 to 60 s, alone, in batches and in pieces, no number" in card
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    assert acanet("export", tiny_bundle, "-o", tmp_path / "other", "--audio", tmp_path / "empty.wav").code == 2
    assert not (tmp_path / "other").exists()


def test_an_export_is_replaced_and_nothing_else(quick, tiny_bundle, tmp_path):
    copy = shutil.copytree(tiny_bundle, tmp_path / "run" / "best")
    for folder in (copy, tmp_path / "run"):
        answer = acanet("export", tiny_bundle, "-o", folder)
        assert answer.code == 2
        assert "not an exported bundle; name another folder" in answer.err
    assert Bundle.load(copy).weights()
    for _ in range(2):
        export_model(tiny_bundle, tmp_path / "exported")
    assert check(Bundle.load(tmp_path / "exported")) < 1e-5


def test_an_exported_bundle_cannot_be_exported(exported, tmp_path):
    with pytest.raises(AcanetError, match="an exported bundle has no weights for torch"):
        export_model(exported.bundle.folder, tmp_path / "again")


def test_a_model_that_cannot_be_traced_says_so(monkeypatch, tiny_bundle, tmp_path):
    def refuse(*_, **__):
        raise torch.onnx.OnnxExporterError("no such operator")

    monkeypatch.setattr(graphs.torch.onnx, "export", refuse)
    with pytest.raises(AcanetError, match=r"graph 'whole' cannot be exported: .* no such operator"):
        export_model(tiny_bundle, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", model_names())
def test_every_model_can_be_exported(name, tmp_path):
    model = small(name)
    source = write_bundle(
        tmp_path / "source",
        BundleConfig(name=name, model=model.config.model_dump(mode="json"), licence="none"),
        {key: value.numpy() for key, value in model.state_dict().items()},
        Provenance(),
        "# small\n",
    )
    done = export_model(source.folder, tmp_path / "exported")
    assert max(done.alone, done.padded) < 1e-5
    assert (done.in_pieces is None) == (done.bundle.graphs.pieces is None)
    assert (done.in_pieces or 0.0) < 1e-5
    assert check(done.bundle) < 1e-5
    assert json.loads((done.bundle.folder / "config.json").read_text())["onnx"]["origin"] == source.fingerprint
    network = OnnxNetwork(done.bundle)
    if (piecewise := network.in_pieces(piece=40)) is not None:
        (waveform,) = waveforms([30000])
        with piecewise:
            piecewise.feed(waveform)
            found = piecewise.embedding()
        np.testing.assert_allclose(found, network.embed_waveforms([waveform])[0], rtol=0, atol=1e-5)
