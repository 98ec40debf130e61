"""The command line: one function a command; what a command needs is imported inside it."""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Any

from acanet.cli import (
    backends,
    bundles,
    calibration,
    corpora,
    demo,
    evaluation,
    explain,
    recordings,
    results,
    segments,
    training,
)
from acanet.cli.common import INTERNAL_ERROR, INTERRUPTED, app, complain, err
from acanet.errors import AcanetError, MissingExtra

for _command in (
    recordings.verify,
    recordings.embed,
    corpora.prepare,
    corpora.trials,
    training.train,
    training.experiment,
    results.results,
    evaluation.evaluate,
    explain.explain,
    segments.segments,
    backends.plda,
    calibration.calibrate,
    bundles.export,
    bundles.check,
    training.models,
    demo.demo,
):
    app.command()(_command)
app.command("import")(bundles.import_weights)  # a word of Python, which no function can be called

_TRAIN = {"accelerate", "matplotlib", "onnx", "onnxscript", "safetensors", "scipy", "tensorboard", "torch", "yaml"}
"""Packages of the `train` extra that commands import first."""


def main() -> None:
    """Run the command line; every outcome has an exit code, and errors are for people."""
    warnings.showwarning = _show_warning
    try:
        app()
    except AcanetError as error:
        complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        err.print("interrupted")
        sys.exit(INTERRUPTED)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _TRAIN:
            raise
        complain(MissingExtra(error.name, "train"))
        sys.exit(MissingExtra.exit_code)
    except OSError as error:  # of files and folders that were named: no such folder, not allowed, disk full
        err.print(f"error: {error}")
        sys.exit(AcanetError.exit_code)
    except Exception:
        traceback.print_exc()
        err.print("internal error: please report it with the lines above")
        sys.exit(INTERNAL_ERROR)


def _show_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: Any, **__: Any
) -> None:
    if category.__module__.startswith("acanet"):
        err.print(f"warning: {message}")
