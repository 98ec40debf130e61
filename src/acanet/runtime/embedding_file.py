"""Many recordings -> one .npz file of their embeddings, without those that have none; and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from acanet.config.arrays import read_npz
from acanet.config.files import written
from acanet.errors import AcanetError, BadArgument, ModelMismatch, check_output
from acanet.runtime.windows import check_windows
from acanet.scoring.heard import check_embeddings

if TYPE_CHECKING:
    from acanet.encoder import Encoder

Tell = Callable[[AcanetError], object]
MOST_BYTES = 2**34
"""Of a file that is read: millions of embeddings."""
Progress = Callable[[float], object]
"""Called with how many files are done, the one at work in part."""


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of a file, and the recordings that they are of.

    Attributes:
        embeddings: (rows, dim) float32, of unit length.
        files: the recordings, (rows,), as they were named.
        fingerprint: of the model.
    """

    embeddings: NDArray[np.float32]
    files: tuple[str, ...]
    fingerprint: str


def read_embeddings(path: str | Path, fingerprint: str) -> Embeddings:
    """Read what `acanet embed` wrote, to compare it with embeddings of the same model.

    Args:
        path: an `.npz` file; windows with too little speech, which have no embedding, are left out.
        fingerprint: of the encoder whose embeddings it is to be compared with.

    Raises:
        AcanetError: when it is no such file, or a damaged one.
        ModelMismatch: when it is of another model.
    """
    path = Path(path)
    arrays = read_npz(path, MOST_BYTES, links=True)
    try:
        embeddings, files, found = arrays["embeddings"], arrays["files"], str(arrays["fingerprint"])
        if "speech" in arrays:
            embedded = np.isfinite(embeddings[:, 0])
            embeddings, files = embeddings[embedded], files[embedded]
        check_embeddings(embeddings)
        if files.shape != embeddings.shape[:1]:
            raise BadArgument("files", f"{len(embeddings)} embeddings of files {files.shape}")
    except (BadArgument, IndexError, KeyError, TypeError) as error:
        raise AcanetError(f"{path}: not what `acanet embed` wrote, or damaged ({error})") from None
    if found != fingerprint:
        raise ModelMismatch(f"{path} with embeddings of {found}", f"those of {fingerprint}")
    return Embeddings(embeddings, tuple(map(str, files)), found)


@dataclass(frozen=True)
class Written:
    """What came of the recordings that were to be embedded.

    Attributes:
        output: the file; nothing is written where no recording has an embedding.
        asked: how many recordings were to be embedded.
        embedded: the recordings that were.
        failures: the errors of the others, in order.
        dim: numbers in an embedding.
        windows: embeddings of windows in the file; None: of whole recordings.
        silent: windows among them with too little speech, whose numbers are NaN.
        needed_seconds: seconds of speech that are not too little.
    """

    output: Path
    asked: int
    embedded: tuple[str, ...]
    failures: tuple[AcanetError, ...]
    dim: int
    windows: int | None
    silent: int
    needed_seconds: float

    def summary(self) -> list[str]:
        """Lines that tell what is in the file; none where there is no file."""
        if not self.embedded:
            return []
        if self.windows is None:
            return [f"{_count(len(self.embedded), 'embedding')} of {self.dim} numbers in {self.output}"]
        of = f" of {len(self.embedded)} files" if len(self.embedded) > 1 else ""
        lines = [f"{_count(self.windows, 'window')}{of} in {self.output}"]
        if self.silent:
            verb = "holds" if self.silent == 1 else "hold"
            least = f"less than {self.needed_seconds:g} s of speech"
            lines.append(f"{self.silent} of them {verb} {least}: their numbers are NaN")
        return lines


def write_embeddings(
    encoder: Encoder,
    files: Sequence[Path],
    output: Path,
    *,
    window: float | None = None,
    hop: float | None = None,
    channel: int | None = None,
    tell: Tell | None = None,
    progress: Progress | None = None,
) -> Written:
    """Embed recordings, and write what can be embedded to one .npz file.

    It holds `embeddings` (rows, dim), `files` (rows,), the names as they were given, and `fingerprint`; of windows also
    their `starts`, `ends` and `speech` in seconds, (rows,) each. It appears when all are done.

    Args:
        encoder: the model.
        files: the recordings.
        output: the file to write or replace.
        window: seconds; embed windows of this length, as `Encoder.embed_windows` does; None: whole recordings.
        hop: seconds from one window to the next; None: half a window.
        channel: the one to hear of each recording, as in `Encoder.embed`.
        tell: called with the error of each recording that has no embedding, as soon as it is known.
        progress: called as recordings are done.

    Raises:
        AcanetError: for an output that cannot be, or windows that make no sense, before anything is embedded. Errors of
            recordings are not raised, but returned.
    """
    check_output(output, ".npz", force=True)
    if window is None and hop is not None:
        raise AcanetError("a hop is from one window to the next; give the length of the windows, too")
    tell, progress = tell or (lambda error: None), progress or (lambda done: None)
    if window is None:
        return _write_whole(encoder, files, output, channel, tell, progress)
    hop = window / 2 if hop is None else hop
    return _write_windows(encoder, files, output, window, hop, channel, tell, progress)


def _write_whole(
    encoder: Encoder, files: Sequence[Path], output: Path, channel: int | None, tell: Tell, progress: Progress
) -> Written:
    embedded, embeddings, failures = [], [], []
    for number, (file, result) in enumerate(zip(files, encoder.embed_many(files, channel=channel), strict=True), 1):
        if isinstance(result, AcanetError):
            failures.append(result)
            tell(result)
        else:
            embeddings.append(result)
            embedded.append(str(file))
        progress(number)
    if embeddings:
        _save(output, embeddings=np.stack(embeddings), files=np.array(embedded), fingerprint=encoder.fingerprint)
    return Written(output, len(files), tuple(embedded), tuple(failures), encoder.dim, None, 0, encoder.needed_seconds)


def _write_windows(
    encoder: Encoder,
    files: Sequence[Path],
    output: Path,
    window: float,
    hop: float,
    channel: int | None,
    tell: Tell,
    progress: Progress,
) -> Written:
    check_windows(window, hop, encoder.needed_seconds)
    embedded, found, failures = [], [], []
    for number, file in enumerate(files):
        try:
            found.append(encoder.embed_windows(file, window, hop, channel=channel, progress=_after(number, progress)))
            embedded.append(str(file))
        except AcanetError as error:
            failures.append(error)
            tell(error)
        progress(number + 1)
    if found:
        names = ("embeddings", "starts", "ends", "speech")
        arrays = {name: np.concatenate([getattr(each, name) for each in found]) for name in names}
        files_of = np.repeat(embedded, [len(each) for each in found])
        _save(output, **arrays, files=files_of, fingerprint=encoder.fingerprint)
    return Written(
        output,
        len(files),
        tuple(embedded),
        tuple(failures),
        encoder.dim,
        sum(map(len, found)),
        sum(int((~each.embedded).sum()) for each in found),
        encoder.needed_seconds,
    )


def _after(done: int, progress: Progress) -> Progress:
    """What tells the share of a file, after those that are done."""
    return lambda share: progress(done + share)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _save(output: Path, **arrays: Any) -> None:
    """Write an .npz file, complete before it takes its place."""
    with written(output) as file:
        np.savez(file, **arrays)
