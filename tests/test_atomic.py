"""Files and folders are complete or absent: faults at every call that reaches the disk, from outside the code."""

import errno
import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import bayesridge
from bayesridge.atomic import check_folder, write_atomically, write_folder
from bayesridge.errors import DataError, DataTypeError

NAMES = {"a.csv", "b.json"}


def content(folder):
    return {path.name: path.read_bytes() if path.is_file() else None for path in folder.iterdir()}


def write_both(target, text):
    with write_folder(target, NAMES) as folder:
        for name in NAMES:
            (folder / name).write_text(text)


WRITERS = {
    "file": lambda folder, text: write_atomically(folder / "page.html", text * 1000),
    "folder": lambda folder, text: write_both(folder / "results", text),
}


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


FAULTS = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt(), MemoryError()]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "rename", "mkdir"])
@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("before", [True, False], ids=["over an old result", "new"])
def test_a_fault_at_any_call_leaves_what_was_there(tmp_path, monkeypatch, call, kind, before, fault):
    write = WRITERS[kind]
    (tmp_path / "clean").mkdir()
    write(tmp_path / "clean", "new")
    new = snapshot(tmp_path / "clean")
    tmp_path /= "at"
    tmp_path.mkdir()
    if before:
        write(tmp_path, "old")
    old = snapshot(tmp_path)
    real = getattr(os, call)
    for broken in range(20):
        calls = itertools.count()

        def once(*args, broken=broken, calls=calls, **options):
            if next(calls) == broken:
                raise fault
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, once)
            try:
                write(tmp_path, "new")
            except type(fault):
                found = snapshot(tmp_path)
                hidden = {name: found.pop(name) for name in list(found) if name.startswith(".")}
                assert found in (old, new)  # new: the last calls make sure of a rename that was made
                # the removal of the old folder, once the new one is in its place, may itself be hit
                assert not hidden or (found == new and b"new" not in hidden.values())
            else:
                break
    else:
        pytest.fail("there is no end of calls")
    assert new.items() <= snapshot(tmp_path).items()


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    target, link = tmp_path / "precious", tmp_path / "page.html"
    target.write_text("precious")
    link.symlink_to(target)
    write_atomically(link, "page")
    assert not link.is_symlink()
    assert target.read_text() == "precious"
    folder, other = tmp_path / "folder", tmp_path / "other"
    other.mkdir()
    folder.symlink_to(other)
    with pytest.raises(DataError, match="symbolic link"):
        write_both(folder, "new")


def test_permissions_are_those_of_any_new_file_and_of_the_one_replaced(tmp_path):
    (tmp_path / "plain").write_text("")
    made = write_atomically(tmp_path / "made", b"x")
    assert stat.S_IMODE(made.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    made.chmod(0o600)
    write_atomically(made, b"y")
    assert stat.S_IMODE(made.stat().st_mode) == 0o600


def test_a_pipe_and_a_device_are_written_to_and_stay(tmp_path):
    write_atomically("/dev/null", "page")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    with pytest.raises(IsADirectoryError, match="folder"):
        write_atomically(tmp_path, "page")


def test_errors_name_what_was_asked_for_and_no_hidden_file(tmp_path):
    for path, name in (("none/page.html", "none"), ("x" * 300, "x" * 300), ("/dev/full", None)):
        with pytest.raises(OSError) as error:  # noqa: PT011 -- of three classes
            write_atomically(tmp_path / path, "text" * 9999)
        assert name is None or error.value.filename == str(tmp_path / name)
    with pytest.raises(OSError) as error:  # noqa: PT011
        write_both(Path("/proc/out"), "text")
    assert error.value.filename == "/proc/out"


def test_what_is_not_ours_is_never_replaced(tmp_path, monkeypatch):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(DataError, match=r"thesis\.tex"):
        write_both(tmp_path, "new")
    with pytest.raises(DataError, match="is a file"):
        check_folder(tmp_path / "thesis.tex", NAMES)
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path / "in")
    for path in (".", "..", "../in/"):
        with pytest.raises(DataError, match="current folder"):
            check_folder(path, NAMES)
    write_both("../new/deep", "text")
    assert set(content(tmp_path / "new" / "deep")) == NAMES


def test_a_system_that_cannot_swap_names_renames_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("bayesridge.atomic._exchange", lambda *_: False)
    write_both(tmp_path / "results", "old")
    write_both(tmp_path / "results", "new")
    assert set(content(tmp_path / "results").values()) == {b"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


KILLS = """
import os, sys
from bayesridge.atomic import write_atomically, write_folder

names = {"a.csv", "b.json"}

def write(text):
    with write_folder("results", names) as folder:
        for name in names:
            (folder / name).write_text(text)
    write_atomically("page.html", text)

def state():
    files = [f"results/{name}" for name in sorted(names)] + ["page.html"]
    return " ".join([open(name).read() for name in files])

write("old")
for last in range(200):
    child = os.fork()
    if child == 0:
        count = 0
        def hook(event, args):
            global count
            if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"):
                count += 1
                if count > last:
                    os._exit(9)
        sys.addaudithook(hook)
        write("new")
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(code, state())
    if code == 0:
        break
    write("old")
"""


def test_a_kill_at_any_call_leaves_complete_results(tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLS], cwd=tmp_path, capture_output=True, text=True, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(bayesridge.__file__).parents[1]), *sys.path])},
    )  # fmt: skip
    found = [line.split() for line in done.stdout.splitlines()]
    assert found[-1] == ["0", "new", "new", "new"]
    assert len(found) > 10
    # the folder as a whole, and the page by itself
    assert {tuple(one[1:]) for one in found} <= {("old",) * 3, ("new", "new", "old"), ("new",) * 3}
    assert {one[0] for one in found[:-1]} == {"9"}


@pytest.mark.parametrize("path", [3, None, b"page.html", "a\0b"])
def test_what_is_no_path_is_named(path):
    with pytest.raises(DataTypeError, match="the name of a file is a string or a path, got"):
        write_atomically(path, "text")
