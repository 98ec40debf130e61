"""Public weights become a bundle: what others' code computes with them, without torch; everything else is refused."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from acanet.encoder import Encoder
from acanet.errors import AcanetError, BadConfig, ModelMismatch
from acanet.export import gate
from acanet.export.public import torch_bundle
from acanet.models.inference import embed_waveforms, load_model
from acanet.models.registry import build_model, model_config
from acanet.models.weights import LAYOUTS
from acanet.runtime.bundle import Bundle, Provenance
from acanet.runtime.check import check
from acanet.runtime.choices import WeightLayout
from acanet.runtime.front_end import FrontEndConfig
from acanet.runtime.onnx import OnnxNetwork
from support.commands import acanet
from support.networks import shaken, waveforms
from support.paths import GOLDEN

FILES = {
    "authors-acanet": "acanet_authors_tiny",
    "speechbrain-ecapa": "ecapa_speechbrain_tiny",
    "campplus": "campplus_wespeaker_tiny",
    "redimnet2": "redimnet2_tiny",
}
HEADS = "aggregator.heads=4"
"""Of the golden ACA-Net; no shape tells them."""
SPEECHBRAIN = {"kind": "speechbrain", "low_hz": 0.0}
TINY = {
    "authors-acanet": (
        "acanet",
        {
            "front_end": {"mels": 20},
            "frames": {"channels": 16},
            "aggregator": {
                "latents": 5,
                "blocks": 1,
                "aca_layers": 2,
                "latent_layers": 1,
                "aca_mlp": 12,
                "latent_mlp": 10,
                "positions": "first",
            },
        },
    ),
    "speechbrain-ecapa": (
        "ecapa-1024",
        {
            "front_end": {**SPEECHBRAIN, "mels": 24},
            "frames": {
                "channels": 20,
                "out_channels": 28,
                "kernels": (3, 3, 5, 3),
                "res2net_scale": 2,
                "se_channels": 6,
            },
            "aggregator": {"channels": 9},
            "head": {"dim": 11},
        },
    ),
    "campplus": (
        "campplus",
        {
            "front_end": {"mels": 16},
            "frames": {"front_channels": 4, "channels": 10, "growth": 6, "bottleneck": 8, "layers": (1, 2, 1)},
            "head": {"dim": 7},
        },
    ),
    "redimnet2": (
        "redimnet2-b0",
        {
            "front_end": {"mels": 8},
            "frames": {
                "mels": 8,
                "channels": 12,
                "stages": [
                    {"hidden": 6, "blocks": 1, "context": 4},
                    {"hidden": 24, "blocks": 2, "context": 8, "mel_stride": 2, "stride": 2},
                ],
                "out_channels": 5,
            },
            "aggregator": {"channels": 9},
            "head": {"dim": 7},
        },
    ),
}


def golden(layout):
    """(weights, everything else) of the reference implementation's golden file, as tensors."""
    with np.load(GOLDEN / f"{FILES[layout]}.npz") as file:
        arrays = {key: torch.from_numpy(file[key]) for key in file}
    weights = {key.removeprefix("weights/"): arrays.pop(key) for key in list(arrays) if key.startswith("weights/")}
    return weights, arrays


def foreign(layout, model):
    """A model's weights by the names, and with the axes, that golden files have."""
    reference = golden(layout)[0]
    theirs = LAYOUTS[layout].ours(reference)[1]
    found = {}
    for own, value in model.state_dict().items():
        group = re.search(r"res2net\.blocks\.(\d)", own)
        stage = re.match(r"frames\.stages\.(\d+)\.(?:blocks\.(\d+)\.)?", own)
        first = "" if stage is None else f"frames.stages.0.{'blocks.0.' if stage[2] else ''}{own[stage.end() :]}"
        name = theirs[first or re.sub(r"(res2net\.blocks)\.\d", r"\1.0", own)]
        place = name if group is None else name.replace("res2net_block.blocks.0", f"res2net_block.blocks.{group[1]}")
        if stage is not None:
            _, number, rest = name.removeprefix("backbone.").split(".", 2)
            place = f"backbone.stage{stage[1]}.{int(number) + int(stage[2] or 0)}.{rest}"
        value = value.unsqueeze(1) if name == "latent" else value.unsqueeze(0) if name.endswith(".w") else value
        more = (1,) * (reference[name].ndim - value.ndim)
        found.setdefault(place, []).append(value.reshape(value.shape + more))
    return {name: torch.cat(parts) if len(parts) > 1 else parts[0] for name, parts in found.items()}


def tiny(layout):
    name, changes = TINY[layout]
    torch.manual_seed(0)
    return shaken(build_model(name, model_config(name, changes)))


def imported(layout, weights, folder, **how):
    torch.save(weights, folder / "given.pt")
    return torch_bundle(layout, folder / "given.pt", folder / "torch", **how)


def loaded(bundle):
    return load_model(bundle.name, bundle.config.model, bundle.weights())


def refused(layout, path, *options):
    """What the command line says; it leaves nothing behind."""
    before = sorted(path.parent.iterdir())
    answer = acanet("import", layout, path, "-o", path.parent / "new", *options)
    assert answer.code == 2
    assert answer.out == ""
    assert sorted(path.parent.iterdir()) == before
    return answer.err


@pytest.fixture
def brief(monkeypatch):
    """Compare torch and ONNX on short recordings only."""
    monkeypatch.setattr(gate, "LENGTHS", (0.5, 0.9, 1.3))


def test_the_command_knows_every_layout():
    assert set(get_args(WeightLayout)) == set(LAYOUTS)


def save_plain(weights, folder):
    torch.save(weights, folder / "embedding_model.ckpt")
    return folder / "embedding_model.ckpt"


def save_nested(weights, folder):
    state = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in weights.items()}, "optimizer": {}}
    torch.save(state, folder / "last.pt")
    return folder / "last.pt"


def save_safetensors(weights, folder):
    safetensors.torch.save_file({**weights, "projection.weight": torch.zeros(3, 7)}, folder / "model.safetensors")
    return folder / "model.safetensors"


def save_with_config(weights, folder):
    config = {"C": 12, "F": 8, "feat_type": "tf", "stages_setup": [[[1, 1], 1, 0.5, [[3, 3]], 24]]}
    torch.save({"model_config": config, "state_dict": weights}, folder / "b0-vox2-lm.pt")
    return folder / "b0-vox2-lm.pt"


@pytest.mark.parametrize(
    ("layout", "save"),
    [
        pytest.param("speechbrain-ecapa", save_plain, marks=pytest.mark.slow),
        pytest.param("authors-acanet", save_nested, marks=pytest.mark.slow),
        pytest.param("campplus", save_safetensors, marks=pytest.mark.slow),
        pytest.param("redimnet2", save_with_config, marks=pytest.mark.slow),
    ],
    ids=["speechbrain-ecapa", "authors-acanet", "campplus", "redimnet2"],
)
def test_an_imported_bundle_embeds_without_torch_as_torch_does(layout, save, tmp_path, brief):
    model, folder = tiny(layout), tmp_path / "bundle"
    path = save(foreign(layout, model), tmp_path)
    answer = acanet("import", layout, path, "-o", folder, "--licence", "CC-BY-4.0")
    assert (answer.code, answer.err) == (0, "")
    light, given = Encoder.load(folder), waveforms([8000, 16000, 24000, 12345])
    found = light.embed_waveforms(given)
    np.testing.assert_allclose(found, embed_waveforms(model, given), rtol=0, atol=1e-5)
    assert check(light.bundle) < 1e-5
    assert light.bundle.config.licence == "CC-BY-4.0"
    assert light.fingerprint in answer.out
    assert light.bundle.config.model == model.config.model_dump(mode="json")
    assert (light.training_speakers, light.training_audio, light.calibration) == (frozenset(), frozenset(), None)
    assert light.bundle.provenance.data == (f"not known: weights imported from {path.name}",)
    card = (folder / "README.md").read_text()
    for told in (layout, f"`{path.name}`", hashlib.sha256(path.read_bytes()).hexdigest(), "Licence: CC-BY-4.0."):
        assert told in card
    assert str(tmp_path) not in card


def test_golden_acanet(tmp_path):
    weights, arrays = golden("authors-acanet")
    model = loaded(imported("authors-acanet", weights, tmp_path, settings=[HEADS]))
    with torch.no_grad():
        found = model(arrays["input"][:1])
    torch.testing.assert_close(found, arrays["output/positions_batch"][:1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("layout", ["speechbrain-ecapa", "campplus", "redimnet2"])
def test_golden_baselines(layout, tmp_path):
    weights, arrays = golden(layout)
    model = loaded(imported(layout, weights, tmp_path))
    with torch.no_grad():
        found = model(arrays["input"])
    torch.testing.assert_close(normalize(found), normalize(arrays["output"]), atol=1e-5, rtol=0)


def test_the_front_end_of_speechbrain(tmp_path):
    """The golden features are those of its Fbank as it is without settings, the sentence's mean removed."""
    weights, _ = golden("speechbrain-ecapa")
    config = imported("speechbrain-ecapa", weights, tmp_path, settings=["front_end.mels=8"]).config.model
    front_end = FrontEndConfig.parse({**config["front_end"], "mels": 80}, "here")
    with np.load(GOLDEN / "fbank.npz") as file:
        waveform, expected = file["waveform"], file["speechbrain_16000_80"]
    extractor = build_model("ecapa-512", model_config("ecapa-512", {"front_end": front_end.model_dump()}))
    features, _ = extractor.front_end(torch.from_numpy(waveform).unsqueeze(0))
    np.testing.assert_allclose(features[0].numpy(), expected, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_golden_acanet_without_torch(tmp_path):
    """From golden features, by the stages, what the authors' code gives."""
    weights, arrays = golden("authors-acanet")
    torch.save(weights, tmp_path / "given.pt")
    answer = acanet("import", "authors-acanet", tmp_path / "given.pt", "-o", tmp_path / "bundle", "--set", HEADS)
    assert (answer.code, answer.err) == (0, "")
    found = from_features(OnnxNetwork(Bundle.load(tmp_path / "bundle")), arrays["input"][:1].numpy())
    expected = normalize(arrays["output/positions_batch"][:1]).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def from_features(network, features):
    """The embedding of features (1, frames, mels) whose mean is left alone, by the stages."""
    still = np.zeros(features.shape[2], np.float32)
    (frames,) = network.run("frames", features=features, mean=still, start=np.array(0))
    latents, queries = network.run("latents-0")
    for number in range(1, network.bundle.graphs.pieces.passes + 1):
        _, total, heard = network.run("pass", queries=queries, frames=frames)
        latents, *more = network.run(f"latents-{number}", before=latents, mean=heard / total)
        queries = more[0] if more else None
    return network.run("readout", latents=latents)[0]


@pytest.mark.parametrize(
    ("layout", "name", "changes"),
    [
        ("authors-acanet", "acanet", {"aggregator": {"positions": "first"}}),
        ("speechbrain-ecapa", "ecapa-512", {"front_end": SPEECHBRAIN}),
        ("speechbrain-ecapa", "ecapa-1024", {"front_end": SPEECHBRAIN}),
        ("campplus", "campplus", {}),
        ("campplus", "campplus", {"head": {"dim": 512}}),
        ("redimnet2", "redimnet2-b0", {}),
        ("redimnet2", "redimnet2-b1", {}),
    ],
    ids=["acanet", "ecapa-512", "ecapa-1024", "campplus", "campplus-512", "redimnet2-b0", "redimnet2-b1"],
)
def test_published_sizes_are_found(layout, name, changes):
    config = model_config(name, changes)
    weights = foreign(layout, build_model(name, config))
    found, sizes = LAYOUTS[layout].fit(LAYOUTS[layout].ours(weights)[0])
    assert found == name
    assert model_config(name, sizes) == config


def test_what_no_shape_tells_can_be_set(tmp_path):
    weights = foreign("authors-acanet", tiny("authors-acanet"))
    given = ["aggregator.positions=time", "front_end.kind=speechbrain", "front_end.low_hz=0", "aggregator.heads=2"]
    bundle = imported("authors-acanet", weights, tmp_path, settings=given)
    assert bundle.config.model["aggregator"]["positions"] == "time"
    assert bundle.config.model["aggregator"]["heads"] == 2
    assert bundle.config.model["front_end"]["kind"] == "speechbrain"
    assert bundle.config.licence == "unknown"
    card = (bundle.folder / "README.md").read_text()
    assert all(f"`{setting}`" in card for setting in given)


def test_training_can_tell_what_an_import_leaves_unknown(tmp_path):
    seen = imported("campplus", foreign("campplus", tiny("campplus")), tmp_path).provenance
    assert (Provenance(data=("own.jsonl",)) | seen).data == ("own.jsonl", "not known: weights imported from given.pt")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("aggregator.heads", "--set: 'aggregator.heads' is not key=value"),
        ("aggregator.head=4", r"given\.pt: --set aggregator\.mla: unknown key 'head', did you mean 'heads'\?"),
        ("frames.channels.most=4", "--set: 'channels' holds a value, it has no 'most'"),
        ("aggregator.heads=[", "--set aggregator.heads: not YAML"),
        ("aggregator.heads=3", "16 channels of frames do not divide into 3 heads"),
    ],
)
def test_a_wrong_setting_is_named(setting, complaint, tmp_path):
    with pytest.raises(BadConfig, match=complaint):
        imported("authors-acanet", foreign("authors-acanet", tiny("authors-acanet")), tmp_path, settings=[setting])


def changed(name, value=None):
    """A change of weights: a tensor taken away, or put in."""

    def change(weights):
        return {n: v for n, v in weights.items() if n != name} | ({} if value is None else {name: value})

    return change


@pytest.mark.parametrize(
    ("layout", "change", "complaint"),
    [
        ("authors-acanet", changed("ch_compression.bias"), r"weights that lack head\.readout\.bias \(1 in all\)"),
        ("authors-acanet", changed("latent"), r"weights that lack aggregator\.latents"),
        (
            "authors-acanet",
            changed("final_norm.norm.weight", torch.ones(9)),
            r"head\.norm\.weight of shape \(9,\) \(final_norm\.norm\.weight in the file\), want \(5,\)",
        ),
        (
            "authors-acanet",
            changed("ACA_blocks.0.cross_attention.0.attn.in_proj_bias", torch.ones(2)),
            r"attn\.in_proj_bias of shape \(2,\), want rows for queries, keys and values",
        ),
        ("speechbrain-ecapa", changed("extra.weight", torch.ones(1)), r"also hold extra\.weight \(1 in all\)"),
        (
            "speechbrain-ecapa",
            changed("fc.conv.extra", torch.ones(1)),
            r"also hold head\.linear\.extra \(fc\.conv\.extra in the file\)",
        ),
        ("speechbrain-ecapa", changed("fc.conv.weight", torch.ones(())), r"head\.linear\.weight of shape \(\), want 1"),
        (
            "speechbrain-ecapa",
            changed("head.linear.weight", torch.ones(11)),
            r"both fc\.conv\.weight and head\.linear\.weight, want one of them",
        ),
        ("speechbrain-ecapa", changed("mfa.conv.conv.bias", torch.tensor([1.0, np.nan])), "bias has numbers that are"),
        ("speechbrain-ecapa", changed("mfa.conv.conv.bias", torch.ones(28) * 1j), r"bias is of torch\.complex64"),
        ("campplus", changed("projector.weight", torch.ones(1)), r"also hold projector\.weight \(1 in all\)"),
        ("campplus", changed("head.conv1.weight", torch.ones(0, 1, 3, 3)), "front_channels: .* greater than 0"),
        ("redimnet2", changed("backbone.stage1.0.w"), r"weights that lack frames\.stages\.1\.sum\.weights"),
        ("redimnet2", changed("backbone.stem.0.weight", torch.ones(7, 1, 3, 3)), "mels 13 is not a multiple of 2"),
        (
            "redimnet2",
            changed("spec.torchfbank.2.spectrogram.window", torch.ones(400)),
            r"also hold spec\.torchfbank\.2\.spectrogram\.window \(1 in all\)",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(layout, change, complaint, tmp_path):
    path = tmp_path / "given.pt"
    torch.save(change(foreign(layout, tiny(layout))), path)
    assert re.search(complaint, refused(layout, path))


def test_another_layout_is_recognised(tmp_path):
    path = tmp_path / "given.pt"
    torch.save(golden("campplus")[0], path)
    answer = refused("speechbrain-ecapa", path)
    assert re.search(r"which is a CAM\+\+ .*\(campplus\), want an ECAPA-TDNN in SpeechBrain's layout", answer)
    torch.save({"encoder.weight": torch.ones(2)}, path)
    assert "1 tensors: encoder.weight, want" in refused("speechbrain-ecapa", path)


def test_tensors_outside_of_the_network_are_refused(tmp_path):
    weights = {f"model.{name}": value for name, value in golden("speechbrain-ecapa")[0].items()}
    path = tmp_path / "given.pt"
    torch.save(weights | {"loss.weight": torch.ones(2)}, path)
    assert "given.pt with loss.weight, want" in refused("speechbrain-ecapa", path)
    torch.save(weights | {"asp.conv.conv.weight": torch.ones(2)}, path)
    assert "given.pt with asp.conv.conv.weight, model.asp.conv.conv.weight" in refused("speechbrain-ecapa", path)


class Burglar:
    def __reduce__(self):
        return Path.touch, (Path("opened"),)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({"state_dict": {}}, "which holds an empty dict, want a state dict: tensors by name, under 'state_dict' or"),
        ({"epoch": 3, "lr": 0.1}, "which holds a int as 'epoch', want a state dict"),
        ([torch.ones(2)], "which holds a list, want a state dict"),
        ({7: torch.ones(2)}, "which holds a Tensor as 7, want a state dict"),
        ({"weights": {"latent": torch.ones(2)}}, "which holds a dict of latent as 'weights', want a state dict"),
        (torch.nn.Linear(2, 2), "holds more than tensors (torch.nn.modules.linear.Linear), and reading it would run"),
        ({"state_dict": {"latent": torch.ones(2)}, "hook": Burglar()}, "holds more than tensors ("),
    ],
    ids=["empty", "no-tensors", "list", "number", "another-key", "module", "code"],
)
def test_files_of_something_else_are_refused(content, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "given.pt"
    torch.save(content, path)
    answer = refused("authors-acanet", path)
    assert f"{path}" in answer
    assert complaint in answer
    assert "weights_only" not in answer


def test_a_dict_that_holds_itself_is_refused(tmp_path):
    round_and_round = {}
    round_and_round["model"] = round_and_round
    torch.save(round_and_round, tmp_path / "given.pt")
    assert "which holds a dict of model as 'model'" in refused("authors-acanet", tmp_path / "given.pt")


@pytest.mark.parametrize("content", [b"", b"hello world\n" * 10, b"PK\3\4", b"RIFF\0\0\0\0WAVEfmt "])
def test_files_that_are_no_checkpoint_are_refused(content, tmp_path):
    path = tmp_path / "given.pt"
    path.write_bytes(content)
    assert f"{path}: neither tensors saved by torch.save nor safetensors" in refused("campplus", path)


def test_a_file_that_is_not_there(tmp_path):
    assert "no.pt: cannot be read (No such file or directory)" in refused("campplus", tmp_path / "no.pt")
    (tmp_path / "folder.pt").mkdir()
    assert "folder.pt: cannot be read (Is a directory)" in refused("campplus", tmp_path / "folder.pt")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same weights in files of both kinds."""
    folder, weights = tmp_path_factory.mktemp("whole"), golden("speechbrain-ecapa")[0]
    return [save(weights, folder).read_bytes() for save in (save_plain, save_safetensors)]


@settings(max_examples=40, deadline=None)
@given(kind=st.integers(0, 1), share=st.floats(0, 1, exclude_max=True))
def test_no_part_of_a_file_is_taken_for_the_whole(kind, share, whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("part") / "given"
    path.write_bytes(whole[kind][: int(share * len(whole[kind]))])
    with pytest.raises(AcanetError, match=r"not whole as safetensors|neither tensors"):
        torch_bundle("speechbrain-ecapa", path, path.with_name("torch"))


def test_layouts_and_folders_are_checked_first(tmp_path):
    with pytest.raises(AcanetError, match="unknown layout 'speechbrain'; did you mean 'speechbrain-ecapa'"):
        torch_bundle("speechbrain", tmp_path / "no.pt", tmp_path / "new")
    with pytest.raises(AcanetError, match="is there already; name another folder"):
        torch_bundle("campplus", tmp_path / "no.pt", Path(__file__).parent)
    assert acanet("import", "kaldi", tmp_path / "no.pt", "-o", tmp_path / "new").code == 2


def test_import_replaces_no_other_folder(tmp_path):
    torch.save(golden("speechbrain-ecapa")[0], tmp_path / "given.pt")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    answer = acanet("import", "speechbrain-ecapa", tmp_path / "given.pt", "-o", tmp_path / "notes")
    assert answer.code == 2
    assert "not an exported bundle; name another folder" in answer.err


def test_a_mismatch_of_python_callers_is_typed(tmp_path):
    with pytest.raises(ModelMismatch) as caught:
        imported("campplus", golden("authors-acanet")[0], tmp_path)
    assert caught.value.exit_code == 2
    assert not (tmp_path / "torch").exists()
