"""Files and folders appear whole: whoever else writes, whatever fails, whatever somebody put in the way."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import threading

import pytest

from acanet.config import files
from acanet.config.files import printable, write_bytes, write_text, written, written_files, written_folder, written_text
from support.disk import full_disk

BIG = b"x" * 100_000


@pytest.fixture
def umask():
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written(tmp_path):
    write_bytes(tmp_path / "a", b"\x00\xff")
    write_text(tmp_path / "b", "é\n")
    with written(tmp_path / "c") as file:
        file.write(b"one")
        file.write(b"two")
    with written_text(tmp_path / "d", errors="backslashreplace", newline="") as text:
        text.write("\udcff\r\n")
    write_text(tmp_path / "e", "bad\udcff")
    found = {name: (tmp_path / name).read_bytes() for name in names(tmp_path)}
    assert found == {"a": b"\x00\xff", "b": b"\xc3\xa9\n", "c": b"onetwo", "d": b"\\udcff\r\n", "e": b"bad\\udcff"}


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path):
    (tmp_path / "a").write_text("old")
    with written_text(tmp_path / "a") as file:
        file.write("new")
        file.flush()
        assert (tmp_path / "a").read_text() == "old"
    assert (tmp_path / "a").read_text() == "new"


def test_two_writers_at_once_do_not_mix(tmp_path):
    path = tmp_path / "a"
    with written_text(path) as one, written_text(path) as other:
        for _ in range(1000):
            one.write("one\n")
            other.write("other\n")
    assert path.read_text() == "one\n" * 1000  # the one that ended last
    together = threading.Barrier(4)

    def write(number):
        together.wait()
        for _ in range(20):
            write_text(path, f"{number}\n" * 5000)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = path.read_text().splitlines()
    assert (len(set(lines)), len(lines)) == (1, 5000)
    assert names(tmp_path) == ["a"]


def test_data_reach_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (done.append("flushed"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda one, other: (done.append("renamed"), replace(one, other)))
    write_bytes(tmp_path / "a", b"1")
    with written_folder(tmp_path / "folder") as fresh:
        (fresh / "below").mkdir()
        (fresh / "below" / "b").write_bytes(b"2")
    with written_files(tmp_path, ["c"]) as draft:
        (draft / "c").write_bytes(b"3")
    assert done == ["flushed", "renamed"] * 3


def test_a_planted_file_or_link_is_neither_followed_nor_overwritten(tmp_path, monkeypatch):
    """Even one that has the name of the temporary, which nobody can know before."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    for old_name in ("a.part", ".a.part", f"a.{os.getpid()}.part"):
        (tmp_path / old_name).symlink_to(victim)
    write_text(tmp_path / "a", "new")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "guessed")
    (tmp_path / ".acanet-guessed.part").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "b", "new")
    assert victim.read_text() == "precious"
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / ".acanet-guessed.part").is_symlink()
    assert not (tmp_path / "b").exists()


def test_a_link_is_replaced_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "a").symlink_to(tmp_path / "victim")
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "a").read_text() == "new"
    assert not (tmp_path / "a").is_symlink()


def fail_half_way(writing, error):
    with writing as place:
        if isinstance(place, files.Path):
            (place / "b").write_text("half")
        else:
            place.write("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt, SystemExit])
def test_after_a_failure_nothing_is_left_and_the_old_stays(tmp_path, error):
    (tmp_path / "a").write_text("old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").write_text("old")
    for name in ("a", "new file"):
        with pytest.raises(error):
            fail_half_way(written_text(tmp_path / name), error)
    for name in ("folder", "new"):
        with pytest.raises(error):
            fail_half_way(written_folder(tmp_path / name, replace=True), error)
    with pytest.raises(error):
        fail_half_way(written_files(tmp_path / "folder", ["b"]), error)
    assert names(tmp_path) == ["a", "folder"]
    assert names(tmp_path / "folder") == ["b"]
    assert (tmp_path / "a").read_text() == (tmp_path / "folder" / "b").read_text() == "old"


@pytest.mark.parametrize("write", [lambda path: write_bytes(path, BIG), lambda path: write_text(path, BIG.decode())])
def test_a_full_disk_leaves_nothing_and_the_error_names_the_file(tmp_path, write):
    (tmp_path / "a").write_bytes(b"old")
    with full_disk(4096), pytest.raises(OSError, match=rf"File too large: '{tmp_path}/a'$") as caught:
        write(tmp_path / "a")
    assert caught.value.errno == errno.EFBIG
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


def test_a_disk_that_fills_as_the_file_is_closed(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: write_bytes(tmp_path / "a", b"1"),
        lambda: fill(written_folder(tmp_path / "a")),
        lambda: fill(written_files(tmp_path, ["b"])),
    ):
        with pytest.raises(OSError, match=rf"No space left on device: '{tmp_path}"):
            write()
    assert names(tmp_path) == []


def fill(folder):
    with folder as draft:
        (draft / "b").write_bytes(b"1")


def test_errors_name_the_place_and_not_the_temporary(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b").touch()
    with pytest.raises(IsADirectoryError, match=rf"Is a directory: '{tmp_path}/folder'$"):
        write_text(tmp_path / "folder", "new")
    with pytest.raises(FileNotFoundError, match=rf"No such file or directory: '{tmp_path}/none/a'$"):
        write_text(tmp_path / "none" / "a", "new")
    with pytest.raises(OSError, match=rf"not empty: '{tmp_path}/folder'$"):
        fill(written_folder(tmp_path / "folder"))
    assert names(tmp_path) == ["folder"]
    assert names(tmp_path / "folder") == ["b"]


def test_an_error_about_another_file_keeps_its_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere") as caught, written(tmp_path / "a"):
        (tmp_path / "nowhere").read_bytes()
    assert caught.value.filename == str(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"^\[Errno 5\] Input/output error$"), written(tmp_path / "a"):
        raise OSError(errno.EIO, "Input/output error")  # of what is read, perhaps


def test_permissions_are_those_of_a_plain_file(tmp_path, umask):
    write_text(tmp_path / "a", "new")
    fill(written_folder(tmp_path / "folder"))
    fill(written_files(tmp_path, ["b"]))
    assert mode(tmp_path / "a") == mode(tmp_path / "folder" / "b") == mode(tmp_path / "b") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_what_is_replaced_keeps_its_permissions(tmp_path, umask):
    (tmp_path / "a").touch()
    (tmp_path / "folder").mkdir()
    for bits in (0o600, 0o664):
        (tmp_path / "a").chmod(bits)
        with written(tmp_path / "a") as file:
            (scratch,) = tmp_path.glob(".acanet-*.part")
            assert mode(scratch) == bits  # from the start, so that nobody reads what is not for him
            file.write(b"new")
        assert mode(tmp_path / "a") == bits
    (tmp_path / "folder").chmod(0o700)
    fill(written_folder(tmp_path / "folder", replace=True))
    assert mode(tmp_path / "folder") == 0o700
    (tmp_path / "link").symlink_to(tmp_path / "a")
    write_text(tmp_path / "link", "new")
    assert mode(tmp_path / "link") == 0o666 & ~umask


def test_a_folder_is_replaced_whole(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    fill(written_folder(folder))  # an empty one may be there
    (folder / "left over").touch()
    fill(written_folder(folder, replace=True))
    assert names(folder) == ["b"]
    assert names(tmp_path) == ["folder"]


def test_when_the_last_move_fails_the_old_folder_comes_back(tmp_path, monkeypatch):
    fill(written_folder(tmp_path / "folder"))
    replace, moves = os.replace, []

    def second_fails(source, target):
        moves.append(target)
        if len(moves) == 2:
            raise OSError("the disk went away")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", second_fails)
    with pytest.raises(OSError, match="went away"), written_folder(tmp_path / "folder", replace=True) as fresh:
        (fresh / "new").touch()
    assert names(tmp_path / "folder") == ["b"]
    assert names(tmp_path) == ["folder"]


def test_files_take_their_places_in_order_and_old_ones_go(tmp_path, monkeypatch):
    for name in ("first", "second", "third", "other"):
        (tmp_path / name).write_text("old")
    moved, replace = [], os.replace
    monkeypatch.setattr(os, "replace", lambda one, other: (moved.append(other.name), replace(one, other)))
    with written_files(tmp_path, ["first", "second", "third"]) as draft:
        for name in ("third", "first"):
            (draft / name).write_text("new")
    assert moved == ["first", "third"]
    found = {name: (tmp_path / name).read_text() for name in names(tmp_path)}
    assert found == {"first": "new", "third": "new", "other": "old"}


def test_the_last_file_marks_that_all_are_there(tmp_path, monkeypatch):
    for name in ("first", "last"):
        (tmp_path / name).write_text("old")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt), written_files(tmp_path, ["first", "last"]) as draft:
        (draft / "first").write_text("new")
    assert names(tmp_path) == ["first"]


def test_names_that_are_no_text_can_be_printed():
    assert printable("caf\udce9 \udcff.wav") == "caf? ?.wav"
    assert printable("café\n") == "café\n"


def test_a_path_without_a_folder_and_a_long_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a", 250 * "b"):
        write_text(files.Path(name), "new")
        assert (tmp_path / name).read_text() == "new"
    fill(written_folder(files.Path("folder")))
    assert names(tmp_path / "folder") == ["b"]
