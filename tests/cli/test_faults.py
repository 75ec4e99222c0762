"""A full disk and an interrupt in each command that writes: exit code, one line, the old result as it was."""

import errno
import os

import pytest
from typer.testing import CliRunner

from bayesridge.cli.main import app
from bayesridge.cli.options import Model
from bayesridge.datasets import load

COMMANDS = {
    "fit": ["--out", "out", "--draws", "8"],
    "choose": ["--out", "out", "--rules", "reml,gcv"],
    "report": ["--out", "page.html"],
}
FAULTS = {
    "full disk": (OSError(errno.ENOSPC, "No space left on device"), 1, "No space left"),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted"),
    "memory": (MemoryError("640 kB"), 1, "not enough memory"),
}


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_faults_leave_the_old_result_and_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("t.csv", index=False)
    words = [command, "t.csv", "--target", "TOTEMP", *COMMANDS[command]]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    old = snapshot(tmp_path)
    assert len(old) > 1
    places = [(Model, "read", "interrupt"), *[(os, "fsync", fault) for fault in FAULTS]]
    for owner, name, kind in places:
        fault, code, word = FAULTS[kind]

        def broken(*_args, fault=fault, **_options):
            raise fault

        with monkeypatch.context() as patch:
            patch.setattr(owner, name, broken)
            done = CliRunner().invoke(app, [*words, "--seed", "1"])
        assert done.exit_code == code, (name, done.output)
        assert done.stderr.startswith("bayesridge: ")
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert done.stdout == ""
        assert snapshot(tmp_path) == old, name


def test_a_folder_with_other_files_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    monkeypatch.setattr(Model, "read", lambda _: pytest.fail("the table was read"))
    done = CliRunner().invoke(app, ["fit", "t.csv", "--target", "y", "--out", "out"])
    assert done.exit_code == 1
    assert "notes.txt" in done.stderr
