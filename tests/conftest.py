"""What all tests share."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.paths import ROOT
from support.tiny import HELD_OUT, TINY_MODEL, TRAINED


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real recordings, golden tensors and trial lists: `../shared`, or what ACANET_SHARED names."""
    folder = Path(os.environ.get("ACANET_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Torch in one thread, as the processes that tests start have it, so that sums are taken in one order."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of six synthetic voices, s000 to s005, with three recordings of about 2 s each. Read only."""
    from acanet.data.synthetic import write_corpus

    return write_corpus(tmp_path_factory.mktemp("corpus") / "voices", 6, 3, seconds=(1.6, 2.4))


@pytest.fixture(scope="session")
def tiny_recipe(voices: Path) -> dict[str, Any]:
    """A recipe that trains a tiny ACA-Net on four of `voices`, and chooses on the other two. Copy it to change it."""
    folder = voices.parent
    for name, speakers in (("train", TRAINED), ("dev", HELD_OUT)):
        files = [file for speaker in speakers for file in sorted((voices / speaker).glob("*.wav"))]
        lines = [json.dumps({"path": str(file), "speaker": file.parent.name}) + "\n" for file in files]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return {
        "model": {"name": "acanet-local", "change": TINY_MODEL},
        "data": {
            "train": [str(folder / "train.jsonl")],
            "cache": str(folder / "cache"),
            "batch": 8,
            "crop_seconds": [0.5, 0.8],
            "workers": 0,
        },
        "dev": {"manifest": str(folder / "dev.jsonl")},
        "optimizer": {"rate": 0.01},
        "steps": 4,
        "log_every": 1,
        "licence": "Apache-2.0",
    }


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with the tiny ACA-Net of `tiny_recipe` and random weights. Read only."""
    import torch

    from acanet.models.registry import build_model, model_config
    from acanet.runtime.bundle import BundleConfig, Provenance, write_bundle

    config = model_config("acanet-local", TINY_MODEL)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model("acanet-local", config)
    return write_bundle(
        tmp_path_factory.mktemp("models") / "tiny",
        BundleConfig(name="acanet-local", model=config.model_dump(mode="json"), licence="Apache-2.0"),
        {name: value.numpy() for name, value in model.state_dict().items()},
        Provenance(data=("old.jsonl",), speakers=frozenset({"zoe"}), audio=frozenset({"00ff"})),
        "# tiny\n",
    ).folder


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that needs `shared` as speech, before -m selects."""
    for item in items:
        if "shared" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.speech)


@pytest.fixture
def own_registry():
    """Models, parts and layouts registered in a test do not outlive it."""
    from acanet.models import installed

    before = installed.known()
    yield
    installed.restore(before)
    installed.import_installed.cache_clear()
