"""Simulation-based calibration of families: a hundredth of the study, and (slow) all of it; see benchmarks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri

from benchmarks.outcomes_sbc import FAMILIES, SHAPES, p_values, records, simulate


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_a_hundredth_of_the_study(family):
    """Squares of normal scores have mean 1 (of coefficients twice too far some 4); six data sets, 24 scores."""
    some = [simulate(family, (40, 5), number) for number in range(6)]
    found, wrong = (np.clip([one[of] for one in some], 1e-6, 1.0 - 1e-6) for of in ("found", "wrong"))
    assert np.square(ndtri(found)).mean() < 2.2 < np.square(ndtri(wrong[:, :3])).mean()


def test_a_study_goes_on_where_it_stopped(tmp_path, monkeypatch):
    cells = [("poisson", (40, 5)), ("student", (40, 5))]
    made = []

    def one(family, shape, number):
        made.append((family, number))
        return {"family": family, "shape": list(shape), "number": number, "found": [0.5]}

    monkeypatch.setattr("benchmarks.outcomes_sbc.simulate", one)
    first = records(tmp_path / "a.jsonl", cells, 2)
    assert records(tmp_path / "a.jsonl", cells, 3)[:4] == first
    assert len(made) == len(set(made)) == 6


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_calibration(family, shape):
    """Five numbers at most, each uniform: P(p < 2e-4) each; none of the wrong ones."""
    rows = records(Path("build/outcomes_sbc.jsonl"), [(family, shape)], 1000)
    assert min(p_values(rows)) > 2e-4
    assert max(p_values(rows, "wrong")) < 1e-3
