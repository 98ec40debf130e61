"""NIST SPHERE files: their headers, and those that are compressed with shorten, which sph2pipe expands."""

from __future__ import annotations

import math
import shutil
import subprocess
import tempfile
from typing import BinaryIO, cast

from acanet.audio.window import Window
from acanet.errors import BadAudio

_HEADER, _DIGITS = 1024, 19


def sphere_header(window: Window) -> dict[str, str]:
    """The fields of a NIST SPHERE header, `name -type value` a line; empty for other files."""
    start = window.peek(0, _HEADER)
    if not start.startswith(b"NIST_1A"):
        return {}
    lines = start.partition(b"end_head")[0].decode("ascii", "replace").splitlines()[2:]
    return {words[0]: words[2] for words in (line.split(None, 2) for line in lines) if len(words) == 3}


def sphere_links(window: Window, name: str) -> list[Window]:
    """The NIST files that follow each other.

    Raises:
        BadAudio: naming the recording, when the last was cut off.
    """
    links: list[Window] = []
    begin = 0
    while True:
        link = window.part(begin)
        claimed, held = _claimed(link), link.size - _HEADER
        if claimed is not None and held < 0.95 * claimed:
            raise BadAudio(
                name, f"cut off: the header promises {claimed} bytes of samples, the file has {max(0, held)}"
            )
        if claimed is None or not sphere_header(link.part(_HEADER + claimed)):
            return [*links, link]
        links.append(link.part(0, _HEADER + claimed))
        begin += _HEADER + claimed


def _claimed(window: Window) -> int | None:
    """Bytes of samples that a NIST file says it has; None: it does not."""
    header = sphere_header(window)
    counts = [header.get(field, "") for field in ("sample_count", "channel_count", "sample_n_bytes")]
    if not all(count.isdecimal() and len(count) < _DIGITS for count in counts):
        return None
    return math.prod(map(int, counts))


def is_shortened(window: Window) -> bool:
    """Whether a file is a NIST file that is compressed with shorten."""
    return "shorten" in sphere_header(window).get("sample_coding", "")


def expand(window: Window, name: str) -> Window:
    """A NIST file that is compressed with shorten, as a temporary wav file: what `sph2pipe -f wav` makes of it.

    Args:
        window: the file.
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
    expanded = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the window)
    with tempfile.TemporaryFile() as file:  # without a name, so that nothing stays, whatever happens
        file.write(window.peek(0, window.size))
        file.seek(0)
        command = [program, "-f", "wav", f"/dev/fd/{file.fileno()}"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=expanded,
            stderr=subprocess.PIPE,
            check=False,
            pass_fds=[file.fileno()],
        )
    found = Window(cast(BinaryIO, expanded))
    if done.returncode or not found.size:
        said = done.stderr.decode(errors="replace").strip() or "nothing"
        raise BadAudio(name, f"sph2pipe cannot expand it (exit {done.returncode}); it says: {said}")
    return found
