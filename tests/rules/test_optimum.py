"""The search for an optimum: against known functions, and against fine grids on random problems."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bayesridge.linalg.optimum import Curve, minimize, minimize_values, root
from bayesridge.linalg.search_range import SearchRange, search_range
from bayesridge.linalg.spectrum import factorize
from bayesridge.linalg.terms import spectral_terms
from bayesridge.posteriors.posterior import infer
from bayesridge.priors import BetaR2, Jeffreys
from bayesridge.problem import read_problem
from bayesridge.rules import criteria
from bayesridge.rules.leave_one_out import loo_curves
from bayesridge.rules.problem import LambdaProblem

WHERE = SearchRange(np.linspace(-10.0, 10.0, 101), -32.0, 32.0)


def sigmoid(t):
    return 1.0 / (1.0 + np.exp(-t))


def wells(*places):
    """Smooth dips of growing depth at known places, flat at both ends."""

    def criterion(t):
        value, slope = np.zeros_like(t), np.zeros_like(t)
        for k, place in enumerate(places, start=1):
            bump = np.exp(-0.5 * (t - place) ** 2)
            value, slope = value - k * bump, slope + k * (t - place) * bump
        return Curve(value, slope)

    return criterion


def test_every_minimum_of_several_wells():
    found = minimize(wells(-6.3, 5.01), WHERE)
    # the wells' tails move each other's minimum by less than exp(-60)
    assert np.log(found.best.lam) == pytest.approx(5.01, abs=1e-12)
    assert [np.log(one.lam) for one in found.others] == pytest.approx([-6.3], abs=1e-12)
    assert found.best.place == "interior"
    assert found.note == ""


def test_equal_wells_are_said():
    def criterion(t):
        one, two = wells(-5.0)(t), wells(5.0)(t)
        return Curve(one.value + two.value, one.slope + two.slope)

    found = minimize(criterion, WHERE)
    assert len(found.others) == 1
    assert "no unique optimum" in found.note


@pytest.mark.parametrize(("sign", "place"), [(1.0, "zero"), (-1.0, "infinity")])
def test_ends_are_recognised(sign, place):
    found = minimize(lambda t: Curve(2.0 + sign * sigmoid(t), sign * sigmoid(t) * sigmoid(-t)), WHERE)
    assert found.best.place == place
    assert found.best.lam == (0.0 if place == "zero" else np.inf)
    assert found.best.score == pytest.approx(2.0 if place == "zero" else 1.0, abs=1e-13)
    assert found.others == ()


def test_falling_without_end_is_said():
    found = minimize(lambda t: Curve(t, np.ones_like(t)), WHERE)
    assert (found.best.place, found.best.score) == ("zero", -np.inf)
    assert "without end" in found.note


def test_flat_is_said():
    found = minimize(lambda t: Curve(np.full_like(t, 3.0), np.zeros_like(t)), WHERE)
    assert "does not depend on lambda" in found.note


@pytest.mark.parametrize("width", [1.0, 0.1, 1e-2, 1e-4])
def test_sharp_corners_are_refined_all_the_same(width):
    """Far too sharp to be interpolated in the bracket: it has to be cut."""
    calls = 0

    def slope(t):
        nonlocal calls
        calls += 1
        return np.tanh((t - 0.123456789) / width)

    assert root(slope, 0.0, 0.2) == pytest.approx(0.123456789, abs=1e-13)
    assert calls < 25


def test_rounding_in_the_criterion_does_not_send_the_search_on():
    """A slope that carries 1e-9 of noise is as good as known after a second look; a corner is not taken for noise."""
    rng, calls = np.random.default_rng(0), []

    def noisy(t):
        calls.append(len(t))
        return np.tanh(t - 0.0731) + 1e-9 * rng.standard_normal(len(t))

    # the zero of a slope near one is known to the noise, over sixteen points
    assert root(noisy, -0.3, 0.3) == pytest.approx(0.0731, abs=1e-8)
    assert len(calls) <= 3

    def corner(t):
        return np.where(t < 0.0731, -1.0, 0.5)

    assert root(corner, -0.3, 0.3) == pytest.approx(0.0731, abs=1e-11)


def test_root_at_the_end_of_the_bracket():
    for place in (0.0, 0.2, 1e-15, 0.2 - 1e-15):
        assert root(lambda t, place=place: t - place, 0.0, 0.2) == pytest.approx(place, abs=1e-14)


def test_values_alone():
    found = minimize_values(lambda t: wells(-6.3, 5.01)(t).value, WHERE)
    assert np.log(found.best.lam) == pytest.approx(5.01, abs=1e-7)
    assert [np.log(one.lam) for one in found.others] == pytest.approx([-6.3], abs=1e-7)
    assert minimize_values(lambda t: np.abs(t - 1.234), WHERE).best.lam == pytest.approx(np.exp(1.234), rel=1e-7)
    assert minimize_values(sigmoid, WHERE).best.place == "zero"
    assert minimize_values(lambda t: sigmoid(-t), WHERE).best.place == "infinity"
    # plateaus to rounding at both ends
    assert minimize_values(lambda t: np.round(sigmoid(t), 3), WHERE).best.place == "zero"
    assert minimize_values(lambda t: -np.round(sigmoid(t), 3), WHERE).best.place == "infinity"
    assert "does not depend" in minimize_values(lambda t: np.zeros_like(t), WHERE).note
    with_nan = minimize_values(lambda t: np.where(t < 0, np.nan, (t - 3.0) ** 2), WHERE)
    assert np.log(with_nan.best.lam) == pytest.approx(3.0, abs=1e-7)


@st.composite
def tables(draw):
    """Tables of all shapes: p > n, rank deficient, unscaled, weighted, with strong and with no signal."""
    n, p = draw(st.integers(4, 25)), draw(st.integers(1, 30))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    scale = draw(st.booleans())
    # columns that are not scaled may not be much larger than one another: that is refused by name
    spread = draw(st.sampled_from([0.0, 2.0, 5.0] if scale else [0.0, 1.0]))
    X = rng.standard_normal((n, p)) * np.exp(spread * rng.standard_normal(p))
    if draw(st.booleans()) and p > 2:
        X[:, -1] = X[:, 0] - 2.0 * X[:, 1]
    noise = draw(st.sampled_from([1e-6, 0.1, 1.0, 30.0]))
    y = X @ (rng.standard_normal(p) / np.maximum(X.std(axis=0), 1e-300)) + noise * rng.standard_normal(n)
    options = {"scale": scale}
    if draw(st.booleans()):
        options |= {"weights": rng.gamma(2.0, 1.0, n), "weight_kind": "precision"}
    return X, y, options


def made(table):
    X, y, options = table
    design = read_problem(X, y, **options).design
    return LambdaProblem(infer(design, factorize(design), BetaR2(), Jeffreys()))


CRITERIA = {
    "gcv": lambda p, t: criteria.gcv(spectral_terms(p.spectrum, t)),
    "rgcv": lambda p, t: criteria.robust_gcv(spectral_terms(p.spectrum, t), 0.3),
    "reml": lambda p, t: criteria.negative_log_evidence(spectral_terms(p.spectrum, t), p.spectrum.nu),
    "ml": lambda p, t: criteria.negative_log_evidence(spectral_terms(p.spectrum, t), p.spectrum.n_obs),
    "aic": lambda p, t: criteria.information(spectral_terms(p.spectrum, t), 2.0),
    "aicc": lambda p, t: criteria.corrected_aic(spectral_terms(p.spectrum, t)),
    "l_curve": lambda p, t: criteria.l_curve(spectral_terms(p.spectrum, t)),
    "quasi": lambda p, t: criteria.quasi_optimality(spectral_terms(p.spectrum, t)),
    "loo": lambda p, t: loo_curves(p.row_basis, p.spectrum, p.noise, t).squared,
    "loo_log": lambda p, t: loo_curves(p.row_basis, p.spectrum, p.noise, t).log_score,
}


@pytest.mark.filterwarnings("ignore::bayesridge.errors.BayesRidgeWarning")
@pytest.mark.parametrize("name", CRITERIA)
@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(table=tables())
def test_no_point_of_a_fine_grid_is_lower(name, table):
    problem = made(table)
    loo = name.startswith("loo")
    where = problem.coarse if loo else problem.where

    def criterion(t):
        return CRITERIA[name](problem, t)

    found = minimize(criterion, where)
    grid = np.arange(where.grid[0], where.grid[-1], 0.05 if loo else 0.02)
    values = criterion(grid).value
    finite = values[np.isfinite(values)]
    if not len(finite):
        return
    # 1e-9 of the size: values of neighbouring lambda carry different rounding
    assert found.best.score <= finite.min() + 1e-9 * np.abs(finite).max()
    assert all(one.score >= found.best.score for one in found.others)
    # every dip of the grid that is more than rounding is found
    places = np.array([np.log(one.lam) for one in (found.best, *found.others) if one.place == "interior"])
    depth = 1e-7 * np.abs(finite).max()
    k = np.flatnonzero((values[1:-1] < values[:-2] - depth) & (values[1:-1] < values[2:] - depth)) + 1
    for t in grid[k]:
        assert np.abs(places - t).min(initial=np.inf) <= 0.05


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@settings(max_examples=40, deadline=None, derandomize=True)
@given(unit=st.floats(-100.0, 100.0), seed=st.integers(0, 1000))
def test_units_of_y_change_nothing_and_units_of_x_only_lambda(unit, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((12, 5))
    y = X @ rng.standard_normal(5) + rng.standard_normal(12)
    base = made((X, y, {"scale": False}))
    factor = 10.0**unit
    in_y, in_x = made((X, y * factor, {"scale": False})), made((X * factor, y, {"scale": False}))
    for other, shift in ((in_y, 0.0), (in_x, 2.0)):
        # the ends of the range move with the unit, and nothing else does
        moved = search_range(other.spectrum).grid[[0, -1]] - search_range(base.spectrum).grid[[0, -1]]
        np.testing.assert_allclose(moved, shift * np.log(factor), atol=1e-8)
        for name in ("gcv", "reml", "loo", "aicc"):
            one = minimize(lambda t, name=name: CRITERIA[name](base, t), base.where).best
            two = minimize(lambda t, name=name, other=other: CRITERIA[name](other, t), other.where).best
            assert one.place == two.place
            if one.place == "interior":
                assert np.log(two.lam) - np.log(one.lam) == pytest.approx(shift * np.log(factor), abs=1e-7)
