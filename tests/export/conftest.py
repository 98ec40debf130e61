"""What the tests of export share."""

from __future__ import annotations

import pytest
from filelock import FileLock

from acanet.runtime.bundle import Bundle


@pytest.fixture(scope="session")
def tiny_graphs(tiny_bundle, tmp_path_factory, worker_id):
    """The graph files of the tiny model, by name, which take a minute: traced once for all processes of a test run."""
    from acanet.export.export import export_model

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "tiny-graphs"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            export_model(tiny_bundle, folder)
        bundle = Bundle.load(folder)
    return {name: (folder / name).read_bytes() for name in bundle.graphs.files}
