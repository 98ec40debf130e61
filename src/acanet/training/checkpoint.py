"""The state of a run, in and out, in one file that is always whole."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from acanet.config.files import written
from acanet.errors import AcanetError, BadConfig
from acanet.runtime.bundle import Bundle
from acanet.training.finite import not_finite
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
    audio: str | None = None  # digest of the recordings that it trains on
    teacher: str | None = None  # fingerprint of the model that it learns from


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
    """Read a state that `save_state` wrote; tensors come to the CPU.

    Raises:
        AcanetError: when it is damaged, or of a run that diverged.
    """
    try:
        plain = torch.load(path, map_location="cpu", weights_only=True)
        state = State(**{**plain, "history": [DevResult(**result) for result in plain["history"]]})
    except Exception as error:  # of files that are something else, of any type
        reason = f"not the state of a run, or damaged ({type(error).__name__}); remove it to start the run anew"
        raise AcanetError(f"{path}: {reason}") from error
    if (name := not_finite(state.model) or not_finite(state.loss)) is not None:
        raise AcanetError(f"{path}: {name} is not finite: the run diverged; start it anew in another --out")
    return state


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
        audio=_digest(setup),
        teacher=_fingerprint(setup.taught_by),
    )
    save_state(state, setup.folder / LAST)


def resumed(setup: Setup) -> Progress:
    """The progress of a run at its last checkpoint, to which everything in `setup` goes back.

    Raises:
        AcanetError: as `load_state`.
        BadConfig: when the run started from another model, with another teacher, or on other recordings.
    """
    state = load_state(setup.folder / LAST)
    if state.init != setup.init:
        start = f"from model {state.init}" if state.init else "from fresh weights"
        problem = f"the run started {start}; give --resume the same --init, or none where there was none"
        raise BadConfig(setup.folder, [problem])
    if state.teacher != _fingerprint(setup.taught_by):
        problem = f"the run learns from model {state.teacher}, teacher.bundle is {_fingerprint(setup.taught_by)}"
        raise BadConfig(setup.folder, [f"{problem}; give it that one, or start anew in another --out"])
    if state.audio not in (None, _digest(setup)):
        problem = "the recordings that data.train names are not those of the run; give it those, or start anew"
        raise BadConfig(setup.folder, [f"{problem} in another --out"])
    setup.weights.load_state_dict(state.model)
    setup.accelerator.unwrap_model(setup.loss).load_state_dict(state.loss)
    setup.optimizer.load_state_dict(state.optimizer)
    if setup.average is not None and state.average is not None:
        setup.average.load_state_dict(state.average)
    return Progress(state.step, state.history)


def _fingerprint(bundle: Bundle | None) -> str | None:
    return None if bundle is None else bundle.fingerprint


def _digest(setup: Setup) -> str:
    """What the run trains on, as one number: the content and the speaker of each utterance, in their order."""
    batches = setup.batches
    told = "".join(f"{audio} {who}\n" for audio, who in zip(batches.audio.hashes, batches.speakers, strict=True))
    return hashlib.sha256(told.encode()).hexdigest()
