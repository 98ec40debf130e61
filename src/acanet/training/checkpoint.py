"""The state of a run, in and out, in one file that is always whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from acanet.config.files import written
from acanet.errors import BadConfig
from acanet.training.progress import DevResult, Progress
from acanet.training.setup import Setup

LAST = "last.pt"


@dataclass
class State:
    """The state that a run carries from one step to the next; random draws derive from the step and need none."""

    step: int
    model: dict[str, Any]
    loss: dict[str, Any]
    optimizer: dict[str, Any]
    history: list[DevResult] = field(default_factory=list)
    init: str | None = None  # fingerprint of the model that the run started from
    average: dict[str, Any] | None = None


def save_state(state: State, path: Path) -> None:
    """Write a state to a file: a kill at any moment leaves the old one or the new one.

    Raises:
        OSError: when it cannot be written.
    """
    plain = {**vars(state), "history": [result.model_dump() for result in state.history]}
    with written(path) as file:
        try:
            torch.save(plain, file)
        except RuntimeError as error:  # of torch's archive writer, as it is closed half-way
            if isinstance(error.__context__, KeyboardInterrupt | OSError):
                raise error.__context__ from None
            raise


def load_state(path: Path) -> State:
    """Read a state that `save_state` wrote; tensors come to the CPU."""
    plain = torch.load(path, map_location="cpu", weights_only=True)
    return State(**{**plain, "history": [DevResult(**result) for result in plain["history"]]})


def save_run(setup: Setup, progress: Progress) -> None:
    """Save the state of a run in its folder."""
    state = State(
        step=progress.step,
        model=setup.weights.state_dict(),
        loss=setup.accelerator.unwrap_model(setup.loss).state_dict(),
        optimizer=setup.optimizer.state_dict(),
        average=None if setup.average is None else setup.average.state_dict(),
        history=progress.history,
        init=setup.init,
    )
    save_state(state, setup.folder / LAST)


def resumed(setup: Setup) -> Progress:
    """The progress of a run at its last checkpoint, to which everything in `setup` goes back.

    Raises:
        BadConfig: when the run started from another model.
    """
    state = load_state(setup.folder / LAST)
    if state.init != setup.init:
        start = f"from model {state.init}" if state.init else "from fresh weights"
        problem = f"the run started {start}; give --resume the same --init, or none where there was none"
        raise BadConfig(setup.folder, [problem])
    setup.weights.load_state_dict(state.model)
    setup.accelerator.unwrap_model(setup.loss).load_state_dict(state.loss)
    setup.optimizer.load_state_dict(state.optimizer)
    if setup.average is not None and state.average is not None:
        setup.average.load_state_dict(state.average)
    return Progress(state.step, state.history)
