"""What killed programs leave is swept by the next one, and nothing else is: not what lives, nor what is of others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from acanet.config import scratch
from acanet.config.files import temporary_folder, write_text, written, written_files, written_folder
from acanet.config.scratch import give_back, scratch_file, scratch_folder, sweep

NAMED = f".acanet-{'0f' * 16}.part"

WRITERS = {
    "written": "with written(folder / 'a') as place: place.write(b'half'); stop()",
    "written_folder": "with written_folder(folder / 'b', replace=True) as new: (new / 'c').touch(); stop()",
    "written_files": "with written_files(folder, ['d']) as place: (place / 'd').write_text('half'); stop()",
    "temporary_folder": "tempfile.tempdir = str(folder)\nwith temporary_folder() as new: (new / 'e').mkdir(); stop()",
    "between two renames": """
replace, moves = os.replace, []
def second(*names):
    moves.append(names)
    if len(moves) == 2:
        stop()
    replace(*names)
os.replace = second
with written_folder(folder / 'b', replace=True) as place: (place / 'c').write_text('new')
""",
}
PROGRAM = """
import os, signal, sys, tempfile
from pathlib import Path
from acanet.config.files import temporary_folder, written, written_files, written_folder

folder = Path(sys.argv[1])

def stop():
    print("writing", flush=True)
    sys.stdin.read(1)

"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def writing():
    """Starts a program that waits in the middle of writing; `stdin` lets it go on."""
    started = []

    def start(how, folder):
        program = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + WRITERS[how], folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(program)
        assert program.stdout.readline() == "writing\n"
        return program

    yield start
    for program in started:
        program.kill()
        program.communicate()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_text("old")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("how", WRITERS)
def test_what_a_killed_program_left_is_swept_by_the_next_that_writes_there(folder, writing, how, number):
    killed = writing(how, folder)
    assert [name for name in names(folder) if name.startswith(".acanet-")]
    killed.send_signal(number)
    killed.wait()
    write_text(folder / "other", "new")
    assert names(folder) == ["a", "b", "other"]
    assert (folder / "a").read_text() == (folder / "b" / "c").read_text() == "old"


@pytest.mark.parametrize("how", WRITERS)
def test_what_a_living_program_writes_is_not_swept(folder, writing, how):
    living = writing(how, folder)
    before = names(folder)
    write_text(folder / "other", "new")
    with written_files(folder, ["d"]), written_folder(folder / "more"), scratch_file(folder):
        sweep(folder)
    assert names(folder) == sorted([*before, "more", "other"])
    living.communicate("\n")
    assert living.returncode == 0
    assert not [name for name in names(folder) if name.startswith(".acanet-")]


def test_a_folder_whose_writer_was_killed_between_two_renames_comes_back(folder, writing):
    killed = writing("between two renames", folder)
    assert "b" not in names(folder)
    killed.kill()
    killed.wait()
    give_back(folder / "nothing")
    assert "b" not in names(folder)
    give_back(folder / "b")
    assert names(folder) == ["a", "b"]
    assert (folder / "b" / "c").read_text() == "old"


def test_the_end_of_a_writer_between_two_renames_is_waited_for(folder, writing):
    living = writing("between two renames", folder)
    threading.Timer(0.3, print, kwargs={"file": living.stdin, "flush": True}).start()
    give_back(folder / "b")
    assert (folder / "b" / "c").read_text() == "new"


def test_a_folder_that_is_there_by_now_is_not_replaced(folder, writing):
    killed = writing("between two renames", folder)
    killed.kill()
    killed.wait()
    (folder / "b").mkdir()
    sweep(folder)
    assert names(folder) == ["a", "b"]
    assert names(folder / "b") == []


def test_only_plain_files_and_folders_of_this_user_are_swept(folder, monkeypatch):
    (folder / NAMED).symlink_to(folder / "b")
    os.mkfifo(folder / NAMED.replace("0f", "0a"))
    others = [".acanet-.part", ".acanet-123.part", "acanet.part", f"x{NAMED}", f"{NAMED}x", NAMED.upper()]
    for name in others:
        (folder / name).touch()
    before = names(folder)
    sweep(folder)
    assert names(folder) == before
    theirs = folder / NAMED.replace("0f", "0b")
    theirs.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: os.getuid() + 1)
        sweep(folder)
    assert theirs.is_dir()
    sweep(folder)
    assert not theirs.exists()
    assert (folder / "b" / "c").read_text() == "old"


def test_links_in_what_is_swept_are_not_followed(folder):
    left = folder / NAMED
    (left / "old").mkdir(parents=True)
    (left / "link").symlink_to(folder / "b")
    (left / "old" / "a").symlink_to(folder / "b")
    sweep(folder)
    assert names(folder) == ["a", "b"]
    assert (folder / "b" / "c").read_text() == "old"


@pytest.mark.parametrize("link", ["", "old"])
def test_what_a_link_in_a_download_leads_to_stays_where_it_is(tmp_path, folder, link):
    """`old` would be given back: of a link in it nothing is, whoever reads or writes beside it."""
    theirs = tmp_path / "theirs"
    (theirs / "old" / "best").mkdir(parents=True)
    (theirs / "best").mkdir()
    (theirs / "letter").write_text("mine")
    left = folder / NAMED
    if link:
        left.mkdir()
    (left / link).symlink_to(theirs)
    give_back(folder / "best")
    sweep(folder)
    assert (theirs / "letter").read_text() == "mine"
    assert (theirs / "old" / "best").is_dir()
    assert not [name for name in names(folder) if name in ("letter", "best")]


def test_a_new_temporary_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    hold, held = scratch._hold, []

    def late(path, descriptor):
        held.append(path)
        if len(held) == 1:
            sweep(tmp_path)
        return hold(path, descriptor)

    monkeypatch.setattr(scratch, "_hold", late)
    with scratch_folder(tmp_path) as folder:
        assert folder.is_dir()
    assert len(held) == 2
    held.clear()
    with written(tmp_path / "a") as file:
        file.write(b"whole")
    assert len(held) == 2
    assert (tmp_path / "a").read_bytes() == b"whole"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("locks", [None, "refused"])
def test_without_locks_nothing_is_swept_and_writing_goes_on(tmp_path, monkeypatch, locks):
    def refused(*_):
        raise OSError("no locks available")

    if locks is None:
        monkeypatch.setattr(scratch, "fcntl", None)
    else:
        monkeypatch.setattr(scratch.fcntl, "flock", refused)
    (tmp_path / NAMED).touch()
    with written_folder(tmp_path / "b") as place:
        (place / "c").touch()
    write_text(tmp_path / "a", "whole")
    assert names(tmp_path) == [NAMED, "a", "b"]


def test_many_programs_sweep_and_write_at_once(tmp_path):
    ends = time.monotonic() + 2
    failed = []

    def write(number):
        while time.monotonic() < ends:
            try:
                write_text(tmp_path / "a", f"{number}\n" * 100)
                with written_folder(tmp_path / f"b{number}", replace=True) as place:
                    (place / "c").write_text("whole")
                sweep(tmp_path)
            except OSError as error:
                failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names(tmp_path) == ["a", "b0", "b1", "b2", "b3"]


def test_a_temporary_folder_takes_what_libraries_put_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o77 == 0
        assert Path(tempfile.mkdtemp()).parent == folder
    assert tempfile.gettempdir() == str(tmp_path)
    assert names(tmp_path) == []
