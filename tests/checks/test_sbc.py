"""Simulation-based calibration: right posteriors pass, wrong ones fail, and the numbers do not depend on processes."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from bayesridge.checks.calibration import CalibrationResult, holm, shape_of
from bayesridge.checks.prior_draws import Reference
from bayesridge.checks.sbc import posterior_sbc, sbc
from bayesridge.checks.sbc_of_chains import sbc_nuts, sbc_sampler
from bayesridge.checks.simulate import Setup, simulate
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.errors import ConstantColumnWarning, ConstantTargetWarning, DataError, PerfectFitWarning, PriorError
from bayesridge.fit import posterior
from bayesridge.linalg.spectrum import factorize
from bayesridge.linalg.targets import with_target
from bayesridge.posteriors.draws import Draws
from bayesridge.posteriors.posterior import Posterior, infer
from bayesridge.posteriors.summary import jsonable
from bayesridge.priors import (
    BetaR2,
    Custom,
    FixedLambda,
    FixedScales,
    HalfCauchy,
    HalfNormal,
    HalfT,
    InverseGamma,
    Jeffreys,
)
from benchmarks.sbc_table import calibrate, cases

X10 = np.random.default_rng(3).standard_normal((10, 3))
PROPER = (HalfNormal(1.0), InverseGamma(4.0, 3.0))

# -- right posteriors pass -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "size"),
    [("default", (20, 5)), ("default", (20, 40)), ("gamma precisions", (20, 40)), ("half-t tau and sigma", (20, 5)),
     ("custom R2", (20, 5)), ("fixed tau", (20, 40)), ("known noise", (20, 40)), ("least squares", (20, 5))],
)  # fmt: skip
def test_shipped_priors_are_calibrated(name, size):
    """1% of the study, 50 data sets each; eight studies that each raise a false alarm with probability 1e-3."""
    found = calibrate(name, size, 25 if name == "half-t tau and sigma" else 50)  # a plane of nodes each
    assert found.refused == 0
    assert min(found.p_adjusted.values()) > 1e-3, found.verdict
    assert "log likelihood" in found.pits


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), cases())
def test_shipped_priors_are_calibrated_in_full(name, size):
    """5000 data sets: a cdf wrong by 0.025 anywhere is seen. 47 studies, one in twenty false alarms in all."""
    found = calibrate(name, size, 5000, n_jobs=2)
    assert found.refused == 0
    assert min(found.p_adjusted.values()) > 1e-3, found.verdict


def test_weights_flat_columns_and_no_intercept():
    w = np.array([1.0, 2.0, 0.5, 4.0, 1.0, 0.0, 1.0, 3.0, 0.2, 1.0])
    found = sbc(X10, simulations=100, weights=w, unpenalized=[1], random_state=5)
    assert found.passed, found.verdict
    assert {"x0", "x1", "x2", "intercept"} <= set(found.pits)
    found = sbc(X10, *PROPER, simulations=100, fit_intercept=False, scale=False, random_state=6)
    assert found.passed, found.verdict
    assert "intercept" not in found.pits


def test_pit_values_do_not_depend_on_where_improper_parameters_stand():
    """Flat and Jeffreys' priors are Haar measures of shifts and of the scale: every PIT value is the same there."""
    options = {"simulations": 20, "unpenalized": [0], "random_state": 7}
    here = sbc(X10, **options)
    there = sbc(X10, **options, reference=Reference(sigma=1000.0, intercept=-300.0, unpenalized=50.0))
    for name, u in here.pits.items():
        # shifted numbers carry rounding of about 1e-13 relative to their size
        np.testing.assert_allclose(there.pits[name], u, atol=1e-8, err_msg=name)


def test_posterior_calibration_on_real_data():
    X, y = load_xy("longley")
    found = posterior_sbc(posterior(X, y), simulations=100, random_state=8)
    assert found.passed, found.verdict
    assert found.kind == "posterior"
    assert set(X.columns) <= set(found.pits)


def test_what_has_no_spread_is_said_by_the_fit_alone():
    rng = np.random.default_rng(2)
    table = pd.DataFrame({"x": rng.standard_normal(12), "g": list("aabbccaabbcc"), "c": 1.0})
    with pytest.warns(ConstantColumnWarning, match=": c$"):
        constant = posterior(table[["x", "c"]], table["x"] + rng.standard_normal(12))
    mixed = posterior(
        table.assign(y=table["x"] + 3.0 * (table["g"] == "a") + rng.standard_normal(12)), formula="y ~ x + (1 | g)"
    )
    for post in (constant, mixed):  # a level that no row has is no news: every warning is an error here
        posterior_sbc(post, simulations=2, random_state=0)


def test_posterior_calibration_of_repeated_rows_is_that_of_frequency_weights():
    rng = np.random.default_rng(9)
    w = np.array([1, 2, 1, 3, 1, 0, 1, 2, 1, 1])
    y = X10 @ [1.0, 0.0, -1.0] + rng.standard_normal(10)
    counted = posterior_sbc(posterior(X10, y, weights=w), simulations=10, random_state=10)
    repeated = posterior_sbc(posterior(np.repeat(X10, w, axis=0), np.repeat(y, w)), simulations=10, random_state=10)
    for name, u in counted.pits.items():
        # the same inference up to rounding, but posterior draws may differ in their last digits
        np.testing.assert_allclose(repeated.pits[name], u, atol=1e-6, err_msg=name)


# -- wrong posteriors fail -----------------------------------------------------------------------------------------


def _prior_sampler(design, spectrum, rng):  # noqa: ARG001
    """Ignores the data altogether."""
    setup = Setup(design.X, np.zeros((1, 3)), fit_intercept=False)
    truth = simulate(setup, *PROPER, 100, rng).truth
    return Draws(truth.intercept[None], truth.coef[None], truth.sigma[None], truth.tau[None],
                 truth.lam[None])  # fmt: skip


def _half_of_the_data(design, spectrum, rng):  # noqa: ARG001
    """Looks at half of the rows: weights of zero for the rest."""
    w = np.arange(len(design.y)) % 2.0
    half = build_design(design.X, design.y, weights=w, weight_kind="precision", scale=design.scale, fit_intercept=False)
    return infer(half, factorize(half), *PROPER).draw(100, 1, rng)


def _right_sampler(design, spectrum, rng):
    return infer(design, spectrum, *PROPER).draw(100, 1, rng)


@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
@pytest.mark.parametrize("sampler", [_prior_sampler, _half_of_the_data, _right_sampler])
def test_only_the_likelihood_tells_the_posterior_from_the_prior(sampler):
    found = sbc_sampler(X10, sampler, *PROPER, simulations=100, fit_intercept=False, random_state=11)
    parameters = [name for name in found.pits if name not in ("log likelihood", "log joint")]
    assert {"lambda", "sigma", "tau", "R2", "x0", "x1", "x2", "new observation", "log prior"} == set(parameters)
    assert not set(parameters) & set(found.failed)
    assert ("log likelihood" in found.failed) == (sampler is not _right_sampler)
    without = sbc_sampler(X10, sampler, *PROPER, simulations=25, fit_intercept=False, joint=(), random_state=11)
    assert without.passed
    assert "a posterior that ignores the data would pass" in without.verdict


def test_draws_that_are_wrong_where_the_cdfs_are_right_fail(monkeypatch):
    """An intercept drawn with a plugged-in sigma and a coefficient with a tenth of its sd; the right ones pass."""
    right = Posterior.draw

    def wrong(self, draws, chains, rng):
        drawn = right(self, draws, chains, rng)
        coef = 0.9 * self.coefficients.mean + 0.1 * drawn.coef
        error = self.sigma.median / np.sqrt(self.design.n_rows) * rng.standard_normal(drawn.intercept.shape)
        intercept = self.design.y_mean - drawn.coef @ self.design.mean + error
        return replace(drawn, coef=coef, intercept=intercept)

    options = {"simulations": 150, "joint": (), "random_state": 3}
    fine = sbc((3, 1), **options)
    assert fine.passed, fine.verdict
    assert {"lambda (draws)", "sigma (draws)", "x0 (draws)", "intercept (draws)"} < set(fine.pits)
    monkeypatch.setattr(Posterior, "draw", wrong)
    assert set(sbc((3, 1), **options).failed) == {"x0 (draws)", "intercept (draws)"}


def test_an_intercept_drawn_with_a_plugged_in_sigma_fails(monkeypatch):
    """It alone, Gaussian where it is Student-t with three degrees of freedom; found at each of four seeds tried."""
    right = Posterior.draw

    def wrong(self, draws, chains, rng):
        drawn = right(self, draws, chains, rng)
        error = self.sigma.median / np.sqrt(self.design.n_rows) * rng.standard_normal(drawn.intercept.shape)
        return replace(drawn, intercept=self.design.y_mean - drawn.coef @ self.design.mean + error)

    options = {"prior": FixedLambda(1.0), "simulations": 400, "joint": (), "random_state": 0}
    fine = sbc((4, 1), **options)
    assert fine.p_adjusted["intercept (draws)"] > 0.01, fine.verdict
    monkeypatch.setattr(Posterior, "draw", wrong)
    found = sbc((4, 1), **options)
    assert found.failed == ("intercept (draws)",)
    assert found.p_adjusted["intercept (draws)"] < 0.01


def test_plugged_in_lambda_is_too_narrow():
    found = sbc((8, 3), method="evidence", simulations=300, random_state=12)
    for name in ("x0", "x1", "x2"):
        assert name in found.failed
        assert "U-shaped" in shape_of(found.pits[name])
        assert found.table.loc[name, "var_ratio"] > 1.3
    assert "lambda" in found.fixed
    assert "NOT calibrated" in found.verdict


@pytest.mark.slow  # above, an intercept drawn with a plugged-in sigma fails
@pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")
def test_plugged_in_sigma_is_too_narrow():
    """Student-t tails cut to Gaussian ones: sigma known, but at its own estimate."""

    def plug_in(design, spectrum, rng):
        right = infer(design, spectrum, *PROPER)
        sigma, tau = right.sigma.median, right.tau.median
        return infer(design, spectrum, FixedScales(sigma, tau), Jeffreys()).draw(100, 1, rng)

    found = sbc_sampler((6, 3), plug_in, *PROPER, simulations=300, random_state=13)
    assert {"x0", "x1", "x2"} & set(found.failed)
    assert "U-shaped: too narrow" in shape_of(np.concatenate([found.pits[f"x{j}"] for j in range(3)]))


def test_precision_instead_of_variance_is_found():
    """A half-t prior meant for tau, but put on 1/tau."""
    half_t = HalfT(3.0, 0.5, on="tau")

    def swapped(tau):  # the density of tau if 1/tau is half-t
        return stats.t(3, scale=0.5).logpdf(1.0 / tau) + np.log(2.0) - 2.0 * np.log(tau)

    noise = InverseGamma(4.0, 3.0)
    wrong = sbc((20, 5), half_t, noise, fit_prior=Custom(swapped, of="tau"), simulations=25, random_state=14)
    assert {"lambda", "tau"} <= set(wrong.failed)
    assert "fitted with custom on tau" in wrong.verdict  # the right one is among those that ship


def test_a_noise_prior_in_the_wrong_units_is_found():
    """Inverse-gamma scale taken for a standard deviation instead of a variance."""
    found = sbc(
        (8, 2), BetaR2(), InverseGamma(3.0, 0.09), fit_noise_prior=InverseGamma(3.0, 0.3), simulations=150,
        random_state=15,
    )  # fmt: skip
    assert "sigma" in found.failed
    assert "posterior too high" in shape_of(found.pits["sigma"])


# -- the machinery -------------------------------------------------------------------------------------------------


def test_results_do_not_depend_on_processes():
    options = {"simulations": 120, "random_state": 16}
    one, two = (sbc((8, 2), n_jobs=k, **options) for k in (1, 2))
    for name in one.pits:
        np.testing.assert_array_equal(one.pits[name], two.pits[name])
    other = sbc((8, 2), simulations=120, random_state=17)
    assert not np.array_equal(other.pits["lambda"], one.pits["lambda"])


def test_r2_is_lambda_seen_from_the_other_side():
    found = sbc((8, 2), simulations=20, random_state=18)
    np.testing.assert_allclose(found.pits["R2"], 1.0 - found.pits["lambda"], atol=1e-10)


def test_refused_simulations_are_counted_and_said():
    """The evidence of a wide table is often highest at lambda -> 0: no answer, and no calibration."""
    found = sbc((5, 8), method="evidence", simulations=60, random_state=19)
    assert found.refused > 0
    assert found.n == 60 - found.refused
    assert len(found.pits["sigma"]) == found.n
    assert not found.passed
    assert f"In {found.refused} data sets the method gave no answer" in found.verdict


def _result(pits, **changes):
    fields = {
        "how": dict.fromkeys(pits, "exact cdf"), "fixed": (), "kind": "prior", "what": "a test", "refused": 0,
        "simulations": len(next(iter(pits.values()))), "alpha": 0.05, "seed": "1", "seconds": 0.0,
    }  # fmt: skip
    return CalibrationResult(pits=pits, **{**fields, **changes})


def test_verdict_of_uniform_values_is_a_false_alarm_as_often_as_said():
    rng = np.random.default_rng(20)
    alarms = [bool(_result({f"q{k}": rng.random(50) for k in range(5)}).failed) for _ in range(300)]
    # Holm with independent quantities: just below 5%; four standard errors of 300 are 5 points
    assert 0.01 < np.mean(alarms) < 0.05 + 0.05


def test_holm_is_that_of_statsmodels():
    p = np.random.default_rng(21).random(20) ** 4
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], rtol=1e-14)


@pytest.mark.parametrize(
    ("draws", "word"),
    [(stats.beta(0.7, 0.7), "too narrow"), (stats.beta(1.5, 1.5), "too wide"), (stats.beta(1.3, 1), "too low"),
     (stats.beta(1, 1.3), "too high")],
)  # fmt: skip
def test_shapes(draws, word):
    assert word in shape_of(draws.rvs(1000, random_state=22))


def test_table_record_and_verdict():
    u = np.random.default_rng(23)
    found = _result({"good": u.random(400), "log likelihood": u.beta(0.5, 0.5, 400)}, fixed=("sigma",))
    assert list(found.table["verdict"]) == ["consistent", "departs"]
    assert found.failed == ("log likelihood",)
    assert "Known or plugged in, hence not tested: sigma" in found.verdict
    assert "not whether the model fits real data" in found.verdict
    record = json.loads(json.dumps(jsonable(found.record)))
    assert record["failed"] == ["log likelihood"]
    assert record["quantities"]["good"]["p_adjusted"] == pytest.approx(found.p_adjusted["good"])
    assert len(found.ecdf("good")) == len(found.band().z)
    with pytest.raises(DataError, match="no quantity 'bad'"):
        found.ecdf("bad")


@pytest.mark.filterwarnings("ignore::bayesridge.errors.WeightsWarning")  # refused for another reason
def test_impossible_arguments():
    with pytest.raises(PriorError, match="proper noise prior"):
        sbc((8, 2), HalfCauchy(1.0, on="tau"))
    with pytest.raises(DataError, match="some of log likelihood"):
        sbc((8, 2), joint=["likelihood"])
    with pytest.raises(DataError, match="rows, columns"):
        sbc(np.array([[1.0, np.nan], [2.0, 3.0], [1.0, 1.0]]))
    with pytest.raises(DataError, match="simulations must be"):
        sbc((8, 2), simulations=1)
    X, y = load_xy("longley")
    with pytest.raises(DataError, match="no posterior to draw lambda from"):
        posterior_sbc(posterior(X, y, method="evidence"))
    with pytest.raises(DataError, match="whole numbers"):
        posterior_sbc(posterior(X, y, weights=np.full(16, 1.5)))


def test_perfect_fits_among_simulations_are_factorised_anew():
    design = build_design(X10, np.random.default_rng(24).standard_normal(10))
    with pytest.warns(PerfectFitWarning):
        _, spectrum = with_target(design, factorize(design, "svd"), X10 @ [1.0, 2.0, 3.0])
    assert spectrum.degenerate == "perfect"


# -- NUTS ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.mcmc
def test_nuts_gives_the_same_kind_of_result():
    """Two data sets with everything but the coefficients fixed; the mechanics, not a study."""
    found = sbc_nuts(
        X10, FixedScales(1.0, 0.5), simulations=2, draws=20, thin=2, sampler={"tune": 100}, random_state=25,
    )  # fmt: skip
    assert found.fixed == ("lambda", "sigma", "tau", "R2")
    assert found.how["x0"] == "rank of 20 draws"
    assert all(((u > 0) & (u < 1)).all() and len(u) == 2 for u in found.pits.values())
    assert "NUTS" in found.what


@pytest.mark.mcmc
@pytest.mark.slow
def test_nuts_is_calibrated():
    found = sbc_nuts(X10, *PROPER, simulations=100, draws=60, thin=5, sampler={"tune": 400}, random_state=26, n_jobs=2)
    assert found.passed, found.verdict


def test_some_coefficients_of_many():
    X = np.random.default_rng(5).standard_normal((12, 40))
    some = sbc(X, simulations=30, columns=[3, 17, 30], joint=[], random_state=4)
    assert [name for name in some.pits if name.startswith("x")] == [
        f"x{j}{how}" for how in ("", " (draws)") for j in (3, 17, 30)
    ]
    assert "3 of 40 coefficients" in some.verdict
    every = sbc(X, simulations=30, joint=[], random_state=4)
    for name in [name for name, how in some.how.items() if how == "exact cdf"]:
        # the same posteriors, by a contrast instead of all coefficients
        np.testing.assert_allclose(some.pits[name], every.pits[name], rtol=1e-9, atol=1e-12)
    with pytest.raises(DataError, match="counts from 0 to 39"):
        sbc(X, simulations=10, columns=[40])


@pytest.mark.parametrize("noise", [1e-8, 1e-11])
def test_r_squared_is_ranked_where_it_is_one_to_most_digits(noise):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((50, 5))
    y = X @ rng.standard_normal(5) + noise * rng.standard_normal(50)
    assert posterior_sbc(posterior(X, y), simulations=200, random_state=1).passed


def test_a_target_without_noise_is_no_data_to_draw():
    X = np.random.default_rng(0).standard_normal((20, 2))
    for y, category in ((np.full(20, 3.0), ConstantTargetWarning), (X[:, 0], PerfectFitWarning)):
        with pytest.warns(category):
            post = posterior(X, y)
        with pytest.raises(DataError, match="a bound on its noise"):
            posterior_sbc(post, simulations=100)
