"""A full disk and an interrupt in each command that writes: exit code, one line, the old result as it was."""

import errno
import os
import signal
import threading

import pytest
from typer.testing import CliRunner

from bayesridge.cli.main import app, main
from bayesridge.cli.options import Model
from bayesridge.datasets import load
from bayesridge.estimator import batches

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
    kinds = FAULTS if command == "fit" else ["full disk"]  # one place handles them for all
    places = [(Model, "read", "interrupt"), *[(os, "fsync", fault) for fault in kinds]]
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


#: Long work of each command: what computes there, as (module, function).
LONG = {
    "fit --method nuts": ("bayesridge.mcmc.sampling", "sample"),
    "choose --bootstrap 4": ("bayesridge.parallel.runs", "_batch"),
    "choose --rules cv5": ("bayesridge.rules.cross_validation", "choice_of_losses"),
    "validate --simulations 200": ("bayesridge.checks.sbc_study", "_block"),
    "report": ("bayesridge.reporting.build", "report_html"),
    "fit --batches --loo": ("bayesridge.posteriors.files_loo", "leave_one_out"),
}


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals are given to the main thread"
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("words", LONG)
def test_a_signal_in_the_middle_of_long_work_ends_the_command(words, number, tmp_path, monkeypatch):
    """Simulations and samplers keep what they have when interrupted; a command does not go on with it."""
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("t.csv", index=False)
    module, name = LONG[words]
    monkeypatch.setattr(f"{module}.{name}", lambda *_args, **_options: signal.raise_signal(number))
    command, *options = words.split()
    target = "page.html" if command == "report" else "out"
    usual = signal.getsignal(number)
    done = CliRunner().invoke(app, [command, "t.csv", "--target", "TOTEMP", *options, "--out", target])
    assert (done.exit_code, done.stdout) == (128 + number, "")
    assert done.stderr.startswith("bayesridge: interrupted" if number == signal.SIGINT else "bayesridge: terminated")
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    assert signal.getsignal(number) is usual


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_predictions_in_batches_are_complete_or_as_they_were(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load("longley").to_csv("t.csv", index=False)
    assert CliRunner().invoke(app, ["fit", "t.csv", "--target", "TOTEMP", "--out", "out"]).exit_code == 0
    monkeypatch.setattr(batches, "_ROWS", 5)  # of 16: the fault comes after some are written
    words = ["predict", "out", "t.csv", "--batches", "--out"]
    assert CliRunner().invoke(app, [*words, name]).exit_code == 0
    old, made = snapshot(tmp_path), batches.keyed
    faults = {
        **FAULTS, "Ctrl-C": (signal.SIGINT, 130, "interrupted"), "SIGTERM": (signal.SIGTERM, 143, "terminated"),
    }  # fmt: skip
    for fault, code, word in faults.values():
        calls = []

        def broken(*given, fault=fault, calls=calls):
            calls.append(given)
            if len(calls) == 3:
                signal.raise_signal(fault) if isinstance(fault, signal.Signals) else _raise(fault)
            return made(*given)

        with monkeypatch.context() as patch:
            patch.setattr(batches, "keyed", broken)
            done = CliRunner().invoke(app, [*words, name])
        assert (done.exit_code, done.stdout, len(calls)) == (code, "", 3)
        assert word in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert snapshot(tmp_path) == old
    done = CliRunner().invoke(app, [*words, f"none/{name}"])
    assert done.exit_code == 1
    assert "none: there is no such folder" in done.stderr


def _raise(fault):
    raise fault


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(), reason="signals are given to the main thread"
)
def test_ctrl_c_before_a_command_begins_is_one_line_too(monkeypatch, capsys):
    monkeypatch.setattr("bayesridge.cli.main.app", lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    assert capsys.readouterr().err == "bayesridge: interrupted; no result is half-written\n"
