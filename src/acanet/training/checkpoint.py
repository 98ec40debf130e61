"""The state of a run in one file that is always whole."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from acanet.config.files import written


@dataclass
class DevRow:
    """One look at the dev set."""

    step: int
    eer: float


@dataclass
class State:
    """All that a run carries from one step to the next; random draws derive from the step and need no state."""

    step: int
    model: dict[str, Any]
    loss: dict[str, Any]
    optimizer: dict[str, Any]
    history: list[DevRow] = field(default_factory=list)
    init: str | None = None  # fingerprint of the model that the run started from
    average: dict[str, Any] | None = None


def save_state(state: State, path: Path) -> None:
    """Write a state to a file: a kill at any moment leaves the old one or the new one.

    Raises:
        OSError: when it cannot be written.
    """
    plain = {**vars(state), "history": [asdict(row) for row in state.history]}
    with written(path) as file:
        try:
            torch.save(plain, file)
        except RuntimeError as error:  # of torch's archive writer, as it is closed half-way
            if isinstance(error.__context__, KeyboardInterrupt | OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> State:
    """Read what `save_state` wrote; tensors come to the CPU."""
    plain = torch.load(path, map_location="cpu", weights_only=True)
    return State(**{**plain, "history": [DevRow(**row) for row in plain["history"]]})
