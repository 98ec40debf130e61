"""The log of a run, for people and programs: a progress bar or lines, CSV, TensorBoard."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from acanet.config.files import errors_about, write_text, written_text
from acanet.training.objective import Losses
from acanet.training.progress import DevResult

_COLUMNS = (
    "step",
    "loss",
    "accuracy",
    "teacher",
    "rate",
    "margin",
    "utterances_per_second",
    "waiting_share",
    "seconds",
)


def seconds_trained(folder: Path) -> float:
    """The seconds that the steps of a run took, dev evaluations included, in all its parts when it was resumed.

    As `log.csv` has it: up to its last line, without the time between the parts, and without work that was lost when
    the run was killed.

    Args:
        folder: of the run; without a line in its log, 0.
    """
    path = folder / "log.csv"
    lines = path.read_text(encoding="utf-8").splitlines()[1:] if path.exists() else []
    return float(lines[-1].rpartition(",")[2]) if lines else 0.0


def dev_history(folder: Path) -> list[DevResult]:
    """The dev evaluations of a run, in their order, as `dev.csv` has them; none without a dev set."""
    path = folder / "dev.csv"
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [DevResult(step=int(row["step"]), eer=float(row["eer"])) for row in csv.DictReader(file)]


class Log:
    """The log of a run, which collects steps and reports every `every` of them.

    Args:
        folder: of the run; gets `log.csv`, `dev.csv` and `tensorboard/`.
        console: where the progress goes; a bar on a terminal, lines elsewhere.
        start: steps done before; rows of later steps, left by a run that was killed, are dropped.
    """

    def __init__(self, folder: Path, console: Console, *, start: int, steps: int, every: int) -> None:
        self.folder, self.console, self.every, self.steps = folder, console, every, steps
        _keep_rows(folder / "log.csv", start)
        self._seconds_before = seconds_trained(folder)
        self._file = (folder / "log.csv").open("a", newline="", encoding="utf-8")
        self._csv = csv.writer(self._file, lineterminator="\n")
        if self._file.tell() == 0:
            self._csv.writerow(_COLUMNS)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(), TextColumn("{task.fields[now]}"), console=console,
        )  # fmt: skip
        self._task = self._bar.add_task("Training", total=steps, completed=start, now="")
        self._began = time.perf_counter()
        self._rows, self._waiting, self._spent = 0, 0.0, 0.0
        self._losses: list[Losses] = []
        self._done_before, self._step = start, start

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.console.is_terminal:
            self._bar.stop()
        self._file.close()
        self._board.close()

    def step(
        self, step: int, losses: Losses, rate: float, margin: float, rows: int, waited: float, spent: float
    ) -> None:
        """Take note of a step of `rows` crops; `waited` of the `spent` seconds it waited for its batch.

        Raises:
            OSError: naming the log, when it cannot be written.
        """
        self._losses.append(Losses(*(value.detach() for value in losses)))
        self._rows += rows
        self._waiting += waited
        self._spent += spent
        self._step = step
        self._bar.update(self._task, completed=step)
        if step % self.every == 0 or step == self.steps:
            with errors_about(self.folder / "log.csv"):
                self._report(step, rate, margin)

    def dev(self, history: Sequence[DevResult]) -> None:
        """Take note of the last of the dev evaluations."""
        with written_text(self.folder / "dev.csv", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("step", "eer"))
            rows.writerows((row.step, row.eer) for row in history)
        last, best = history[-1], min(row.eer for row in history)
        with errors_about(self.folder / "tensorboard"):
            self._board.add_scalar("dev/eer", last.eer, last.step)
        self.console.print(
            f"step {last.step}: dev EER {last.eer:.2%} (best {best:.2%})", highlight=False, soft_wrap=True
        )

    def _report(self, step: int, rate: float, margin: float) -> None:
        now = time.perf_counter()
        spent = self._spent
        loss, accuracy, teacher = (_mean(values) for values in zip(*self._losses, strict=True))
        speed, share = self._rows / spent, min(1.0, self._waiting / spent)
        self._csv.writerow(
            (step, f"{loss:.4f}", _written(accuracy), _written(teacher), f"{rate:.3e}", f"{margin:.3f}",
             f"{speed:.1f}", f"{share:.3f}", f"{self._seconds_before + now - self._began:.1f}")
        )  # fmt: skip
        self._file.flush()
        scalars = {"loss": loss, "accuracy": accuracy, "teacher": teacher, "rate": rate, "margin": margin}
        for name, value in scalars.items():
            if not math.isnan(value):
                self._board.add_scalar(f"train/{name}", value, step)
        self._board.add_scalar("speed/utterances_per_second", speed, step)
        self._board.add_scalar("speed/waiting_share", share, step)
        named = "" if math.isnan(accuracy) else f", accuracy {accuracy:.1%}"
        taught = "" if math.isnan(teacher) else f", teacher {teacher:.3f}"
        line = f"loss {loss:.3f}{named}{taught}, {speed:.0f} utterances/s, {share:.0%} waiting for data"
        self._bar.update(self._task, now=line)
        if not self.console.is_terminal:
            left = (now - self._began) / (step - self._done_before) * (self.steps - step)
            self.console.print(
                f"step {step}/{self.steps}: {line}, {_clock(left)} left", highlight=False, soft_wrap=True
            )
        self._losses, self._rows, self._waiting, self._spent = [], 0, 0.0, 0.0


def _mean(values: Sequence[Tensor]) -> float:
    """The mean of those that are numbers; NaN where none is."""
    known = [float(value) for value in values if not value.isnan()]
    return sum(known) / len(known) if known else math.nan


def _written(value: float) -> str:
    """A value as a column has it: empty where there is none."""
    return "" if math.isnan(value) else f"{value:.4f}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _keep_rows(path: Path, last: int) -> None:
    """Drop the rows of steps after `last` from a log, if there is one."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    kept = [line for line in whole[1:] if int(line.split(",")[0]) <= last]
    write_text(path, "".join(whole[:1] + kept))
