"""Checks of fits with several penalties: against actual refits, rows counted twice, and models that are wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from bayesridge import BayesRidge, HalfNormal, posterior, validate
from bayesridge.checks.influence import row_influence
from bayesridge.checks.loo_calibration import loo_calibration
from bayesridge.checks.predictive_checks import predictive_checks
from bayesridge.checks.refits import simulated_targets
from bayesridge.checks.sbc import posterior_sbc
from bayesridge.checks.sensitivity import power_scaling
from bayesridge.design.levels import LevelRows
from bayesridge.engines.groups import GroupEngine
from bayesridge.errors import DataError
from bayesridge.posteriors.posterior import infer_groups
from bayesridge.priors.groups import by_group

FORMULAS = {"levels": "y ~ x + (1 | g) + (1 | h)", "slopes": "y ~ x + (x | g)"}


def table(n: int = 40, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": rng.standard_normal(n), "z": rng.standard_normal(n)})
    frame["g"], frame["h"] = (
        rng.permutation(np.arange(n) % 5).astype(str),
        rng.permutation(np.arange(n) % 4).astype(str),
    )
    frame["w"] = rng.uniform(0.5, 2.0, n)
    frame["y"] = 3.0 + frame.x + rng.standard_normal(5)[frame.g.astype(int)] + rng.standard_normal(n)
    return frame


def fitted(kind: str, **options: Any) -> Any:
    frame = table()
    if kind == "groups":
        X = np.random.default_rng(2).standard_normal((40, 5))
        columns = pd.DataFrame(X, columns=list("abcde"))
        said = {"u": ["a", "b"], "v": ["c", "d"]}
        return posterior(columns, frame.y + X[:, 0], groups=said, unpenalized=["e"], **options)
    return posterior(frame, formula=FORMULAS[kind], **options)


KINDS = ["groups", "levels", "slopes"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weighted", [False, True])
def test_another_target_is_what_a_fit_to_it_has(kind, weighted):
    w = {"weights": table().w, "weight_kind": "precision"} if weighted else {}
    post = fitted(kind, **w)
    engine, theta = post.engine, post.hyper.nodes.theta[[0, 7]]
    seen = engine.deletion().at(theta, slice(None))
    for k, (e, Q) in enumerate(engine.refits(theta, post.design.y[None])):
        np.testing.assert_allclose(e[0], seen.residual[:, k], atol=1e-10)
        np.testing.assert_allclose(Q[0], seen.total[k], rtol=1e-10)
    # counted twice, and the rows beside themselves: the same evidence but for what is free of theta
    both, twice = engine.beside(post.design.y), engine.counted(2.0)
    nodes = post.hyper.nodes.theta[:5]
    one, other = both.evidence(nodes), twice.evidence(nodes)
    np.testing.assert_allclose(one[0] - one[0][0], other[0] - other[0][0], atol=1e-9)
    np.testing.assert_allclose(one[1] + both.floor, other[1] + twice.floor, rtol=1e-9)
    assert twice.nu == both.nu if not weighted else True


@pytest.mark.parametrize("kind", KINDS)
def test_simulated_targets_have_the_variance_of_the_prior(kind):
    post = fitted(kind)
    theta = np.log([2.0, 0.5, np.e**0.6][: len(post.engine.theta_names)])
    there = replace(post, hyper=_At(np.exp(theta), 1.5))
    y = np.concatenate(list(simulated_targets(there, 20_000, np.random.default_rng(3))))
    design = post.design
    X = design.X / design.scale
    S = np.zeros((design.n_columns, design.n_columns))
    seen = post.engine.penalties >= 0
    S[seen, seen] = np.exp(-theta[post.engine.penalties[seen]])
    for pair in post.engine.pairs.values():
        both = np.tanh(theta[2]) * np.exp(-0.5 * (theta[0] + theta[1]))
        S[pair[:, 0], pair[:, 1]] = S[pair[:, 1], pair[:, 0]] = both
    flat = np.column_stack([np.ones(len(X)), X[:, design.unpenalized]])
    away = np.eye(len(X)) - flat @ np.linalg.pinv(flat)
    wanted = 1.5**2 * away @ (X @ S @ X.T + np.eye(len(X))) @ away
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    assert np.abs((np.cov(y.T) - wanted) / scale).max() < 5.5 / np.sqrt(20_000)  # of 1600 numbers


class _At:
    """Scales that are known."""

    def __init__(self, lam, sigma):
        self.lam, self.sigma = lam, sigma

    def draw(self, n, _):
        return np.tile(self.lam, (n, 1)), np.full(n, self.sigma)


def test_residual_checks_see_wild_noise_and_no_other():
    post = fitted("levels")
    assert loo_calibration(post, simulations=100).passed
    assert predictive_checks(post, simulations=200, alpha=0.02).passed
    wild = table()
    wild.loc[7, "y"] += 15.0
    found = predictive_checks(posterior(wild, formula=FORMULAS["levels"]), simulations=200)
    assert not found.passed
    assert "row 7" in found.verdict


def test_influence_is_that_of_a_fit_without_the_row():
    frame = table()
    frame.loc[11, "y"] += 6.0
    post = posterior(frame, formula=FORMULAS["levels"])
    found = row_influence(post)
    for row in (*found.top(1), 3):
        nodes = post.infer_again(post.engine.without(row)).nodes
        name = found.of[row]
        k = post.engine.theta_names.index(f"log {name}")
        moved = float(nodes.weight @ nodes.theta[:, k]) - post.hyper.nodes.weight @ post.hyper.nodes.theta[:, k]
        assert found.log_lambda_shift[row] == pytest.approx(moved, abs=2e-3)
    assert found.table.loc[11, "scale"] == found.of[11]
    assert f"row {found.top(1)[0]} lambda[" in found.verdict


def test_sensitivity_of_one_group_is_that_of_one_lambda():
    frame = table()
    one = posterior(frame[["x", "z"]], frame.y)
    engine = GroupEngine(one.design, one.spectrum, ("all",), np.zeros(2, dtype=np.intp), (one.spectrum.signal,))
    group = infer_groups(engine, one.prior, one.noise_prior)
    wanted, found = power_scaling(one).table, power_scaling(group).table
    both = ["sigma", "intercept", "x", "z"]
    np.testing.assert_allclose(
        found.loc[both, ["prior", "likelihood"]], wanted.loc[both, ["prior", "likelihood"]], atol=2e-3
    )
    np.testing.assert_allclose(found.loc["lambda", "likelihood"], wanted.loc["lambda", "likelihood"], atol=5e-3)


def test_a_prior_that_decides_is_said_to():
    frame = table()
    strong = posterior(frame, formula=FORMULAS["levels"], prior={"g": HalfNormal(0.05), "h": HalfNormal(3.0)})
    found = power_scaling(strong, coefficients=False)
    assert "lambda[g]" in (*found.weak, *found.conflicts)


def test_computation_is_ranked_and_a_wrong_prior_is_found():
    post = fitted("groups")
    found = posterior_sbc(post, simulations=10, random_state=1)
    assert {"lambda[u]", "lambda[v]", "sigma", "log likelihood", "a", "e", "intercept", "new observation"} < set(
        found.pits
    )
    assert found.passed
    wrong = replace(post, prior=by_group(("u", "v"), HalfNormal(0.02)))  # fitted with, but not simulated from
    assert not posterior_sbc(wrong, simulations=25, random_state=1).passed


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_computation_of_several_penalties_is_calibrated(kind):
    assert posterior_sbc(fitted(kind), simulations=400, random_state=5).passed


@pytest.mark.slow
def test_alarms_are_as_rare_as_they_say():
    rng, false = np.random.default_rng(8), 0
    frame = table()
    for _ in range(100):
        frame["y"] = rng.standard_normal(5)[frame.g.astype(int)] + rng.standard_normal(len(frame))
        post = posterior(frame, formula=FORMULAS["levels"])
        false += not loo_calibration(post, simulations=200, alpha=0.1).passed
        false += not predictive_checks(post, simulations=300, alpha=0.1).passed
    assert false <= 36  # 20 of 200 expected; three standard errors, were all of them independent, are 12.7


@pytest.mark.slow  # thirty thousand steps of chains, where a long integral found nothing
@pytest.mark.filterwarnings("ignore::bayesridge.errors.AccuracyWarning")  # of the fit that leaves rounding alone
def test_a_fit_without_noise_has_no_residuals_to_check():
    frame = table()
    frame["y"] = frame.x + 3.0 * frame.g.astype(float)
    exact = validate(posterior(frame, formula=FORMULAS["levels"]), checks=["noise"], simulations=200, progress=False)
    assert "linear function of the columns to rounding" in exact["noise"].text


def test_what_takes_hours_or_has_no_residuals_is_refused_by_name():
    post = fitted("levels")
    with pytest.raises(DataError, match="take at most 1677721 simulations"):
        loo_calibration(post, simulations=2_000_000)
    frame = table()
    frame["y"] = 2.0
    with pytest.warns(UserWarning, match="constant"):
        same = posterior(frame, formula=FORMULAS["levels"])
    card = validate(same, checks=["noise", "prior", "backtest"], splits=5, simulations=200, progress=False)
    assert "constant to rounding" in card["noise"].text
    assert "one lambda" in card["prior"].text
    counted = posterior(table(), formula=FORMULAS["levels"], weights=np.full(40, 2.0))
    with pytest.raises(DataError, match="repeat rows"):
        posterior_sbc(counted, simulations=10)


def test_plugged_in_scales_are_checked_where_they_stand():
    fit = BayesRidge(formula=FORMULAS["levels"], method="evidence").fit(table())
    assert isinstance(fit.posterior_.design.source, LevelRows)
    card = validate(
        fit.posterior_, checks=["noise", "leave-one-out", "influence", "computation"], simulations=200, progress=False
    )
    assert [card[key].status for key in ("noise", "leave-one-out")] == ["passed"] * 2
    assert "only where it is inferred" in card["influence"].text
    assert "chose lambda from the data" in card["computation"].text
