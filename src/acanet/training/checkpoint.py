"""The state of a run in one file that is always whole."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch


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
    """Write beside, flush to the disk, then rename: a kill at any moment leaves the old file or the new one."""
    scratch = path.with_name(path.name + ".part")
    plain = {**vars(state), "history": [asdict(row) for row in state.history]}
    try:
        with scratch.open("wb") as file:
            torch.save(plain, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):  # torch's archive writer fails as it is closed half-way
            raise error.__context__ from None
        raise
    finally:
        scratch.unlink(missing_ok=True)


def load_state(path: Path) -> State:
    """Read what `save_state` wrote; tensors come to the CPU."""
    plain = torch.load(path, map_location="cpu", weights_only=True)
    return State(**{**plain, "history": [DevRow(**row) for row in plain["history"]]})
