"""A bundle -> what runs it; onnxruntime and torch are loaded here, with a model, not before."""

from __future__ import annotations

from acanet.errors import MissingExtra
from acanet.runtime.bundle import Bundle
from acanet.runtime.network import Network
from acanet.runtime.processors import at_most_processors


def load_network(bundle: Bundle, *, threads: int | None = None, device: str = "cpu") -> Network:
    """A network that is ready to run: on onnxruntime where the bundle is exported, else on torch.

    Args:
        bundle: the model.
        threads: that work on one recording, no more than there are processors; None: one. With torch they are those of
            the whole process; None: as they are.
        device: `cpu` or `cuda`.

    Raises:
        AcanetError: for threads or a device that there are not, or a bundle that is damaged.
        MissingExtra: when what runs it is not installed.
    """
    threads = None if threads is None else at_most_processors(threads, "threads")
    if bundle.config.onnx is not None:
        from acanet.runtime.onnx import OnnxNetwork

        bundle.verify_files()  # a damaged model gives scores that look like any others
        return OnnxNetwork(bundle, threads=threads, device=device)
    try:
        from acanet.models.inference import TorchNetwork, load_model
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra("torch", "train") from None
    weights = bundle.weights()
    try:
        model = load_model(bundle.name, bundle.config.model, weights)
    except (MemoryError, RuntimeError) as error:  # of torch, for sizes that no memory holds
        raise bundle.damaged(bundle.folder / "config.json", error) from None
    return TorchNetwork(model, threads=threads, device=device)
