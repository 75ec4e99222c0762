"""A hundredth of the calibration study of several scales, and that it would see scales whose uncertainty is ignored."""

import numpy as np
import pytest

from benchmarks.groups_study import calibrate, cover, p_values


def test_probabilities_of_a_smooth_are_uniform_and_those_of_a_plug_in_are_not():
    pits = calibrate("smooth", 10)
    assert set(pits) == {"sigma", "tau", "curve"}
    assert min(p_values(pits).values()) > 1e-3
    plugged = calibrate("smooth", 25, method="evidence")
    assert p_values({"tau": plugged["tau"]})["tau"] < 1e-3  # of the spread it knows too much


@pytest.mark.parametrize("name", ["two groups", "crossed"])
def test_every_world_is_measured(name):
    pits = calibrate(name, 1)
    assert {"sigma", "fixed effects"} < set(pits)
    assert all(((one >= 0.0) & (one <= 1.0)).all() for one in pits.values())


def test_coverage_counts_what_lies_within():
    found = cover("smooth: a line", 3)
    assert found["curve"][0] > 0.5
    assert np.isfinite(found["sigma"]).all()
