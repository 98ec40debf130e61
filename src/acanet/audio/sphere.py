"""NIST SPHERE files: their headers, and those that are compressed with shorten, which sph2pipe expands."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from typing import BinaryIO

from acanet.errors import BadAudio

_HEADER = 1024


def sphere_header(stream: BinaryIO) -> dict[str, str]:
    """The fields of a NIST SPHERE header, `name -type value` a line; empty for other files."""
    start = stream.read(_HEADER)
    stream.seek(0)
    if not start.startswith(b"NIST_1A"):
        return {}
    lines = start.partition(b"end_head")[0].decode("ascii", "replace").splitlines()[2:]
    return {words[0]: words[2] for words in (line.split(None, 2) for line in lines) if len(words) == 3}


def is_shortened(stream: BinaryIO) -> bool:
    """Whether a file is a NIST file that is compressed with shorten."""
    return "shorten" in sphere_header(stream).get("sample_coding", "")


def expand(source: str | os.PathLike[str] | bytes, name: str) -> bytes:
    """A NIST file that is compressed with shorten, as a wav file: what `sph2pipe -f wav` makes of it.

    Args:
        source: a path, or the bytes of the file.
        name: of the recording, for errors.

    Raises:
        BadAudio: without sph2pipe, or when it fails.
    """
    program = shutil.which("sph2pipe")
    if program is None:
        raise BadAudio(
            name,
            "compressed with shorten, as on the discs of the LDC, which needs sph2pipe: put it on the PATH, "
            "or convert the files (sph2pipe -f wav in.wv1 out.wav)",
        )
    if isinstance(source, bytes):
        with tempfile.TemporaryFile() as file:  # without a name, so that nothing stays, whatever happens
            file.write(source)
            file.seek(0)
            done = _run([program, "-f", "wav", f"/dev/fd/{file.fileno()}"], file.fileno())
    else:
        done = _run([program, "-f", "wav", os.path.abspath(source)])
    if done.returncode or not done.stdout:
        said = done.stderr.decode(errors="replace").strip() or "nothing"
        raise BadAudio(name, f"sph2pipe cannot expand it (exit {done.returncode}); it says: {said}")
    return done.stdout


def _run(command: list[str], *files: int) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, pass_fds=files)
