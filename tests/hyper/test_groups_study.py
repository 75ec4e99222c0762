"""A hundredth of the calibration study of several scales, and that it would see scales whose uncertainty is ignored."""

import sys

import pytest

from benchmarks.groups_study import covered_by, main, p_values, pits_of, recorded, together


def test_probabilities_of_a_smooth_are_uniform_and_those_of_a_plug_in_are_not():
    pits = together(pits_of("smooth", k) for k in range(10))
    assert set(pits) == {"sigma", "tau", "curve"}
    assert min(p_values(pits).values()) > 1e-3
    plugged = together(pits_of("smooth", k, method="evidence") for k in range(25))
    assert p_values({"tau": plugged["tau"]})["tau"] < 1e-3  # of the spread it knows too much


@pytest.mark.parametrize("name", ["two groups", "crossed"])
def test_every_world_is_measured(name):
    pits = pits_of(name, 0)
    assert {"sigma", "fixed effects"} < set(pits)
    assert all(0.0 <= one <= 1.0 for one in pits.values())


def test_coverage_counts_what_lies_within():
    found = together(covered_by("smooth: a line", k) for k in range(3))
    assert found["curve"].mean() > 0.5
    assert set(found["sigma"]) <= {0.0, 1.0}


def test_a_study_goes_on_where_it_was_stopped(tmp_path, monkeypatch, capsys):
    record = tmp_path / "record.jsonl"
    arguments = ["groups_study", "sbc of a plug-in", "--only", "smooth", "--record", str(record), "--simulations"]
    for simulations in ("2", "3"):
        monkeypatch.setattr(sys, "argv", [*arguments, simulations])
        main()
        with record.open("a") as file:
            file.write('{"what": "sbc of a')  # stopped while it wrote
    assert "| smooth | 3 |" in capsys.readouterr().out
    assert [row["k"] for row in recorded(record, "sbc of a plug-in")] == [0, 1, 2]
