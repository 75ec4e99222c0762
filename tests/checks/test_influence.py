"""What a row does to lambda: against actual fits without it."""

import numpy as np
import pytest

from bayesridge import FixedLambda, HalfNormal, InverseGamma, posterior
from bayesridge.checks.influence import row_influence
from bayesridge.errors import DataError
from tests.truth.problems import NAMES, problems

pytestmark = pytest.mark.filterwarnings("ignore::bayesridge.errors.NoSignalWarning")


def mean_log_lambda(post):
    """By quadrature over the distribution function of lambda, not over the nodes."""
    u = (np.arange(50_000) + 0.5) / 50_000
    return float(np.log(post.lambda_.quantile(u)).mean())


def without(X, y, i, scale, **options):
    """A fit to the other rows with the columns divided as they were."""
    rest = np.arange(len(y)) != i
    return posterior(X[rest], y[rest], scale=scale, **options)


# a prior on tau/sigma or on tau: that on R^2 depends on the columns' variance, which a fit to fewer rows changes
@pytest.mark.parametrize("outlier", [4.0, 1e5])
@pytest.mark.parametrize(
    "options",
    [{"prior": HalfNormal(0.7)}, {"prior": HalfNormal(1.0, on="tau"), "noise_prior": InverseGamma(2.0, 1.0)}],
    ids=["line", "plane"],
)
def test_shifts_are_those_of_n_refits(options, outlier):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((14, 3))
    y = X @ [1.0, 0.5, 0.0] + rng.standard_normal(14)
    y[4] += outlier
    post = posterior(X, y, **options)
    found = row_influence(post)
    whole = mean_log_lambda(post)
    assert found.log_lambda_mean == pytest.approx(whole, abs=1e-4)  # midpoints of 50000 quantiles
    assert found.refitted[4] or outlier < 1e4
    for i in range(14):
        shift = mean_log_lambda(without(X, y, i, post.design.scale, **options)) - whole
        assert found.log_lambda_shift[i] == pytest.approx(shift, abs=2e-4)


def test_a_row_that_decides_is_named_as_it_stands_in_the_table():
    rng = np.random.default_rng(2)
    X = rng.standard_normal((30, 4))
    X[9] = 25.0  # far out in all columns, and alone in having a signal
    y = 0.3 * rng.standard_normal(30)
    y[9] = 20.0
    X[3, 0] = np.nan  # dropped, so that row 9 stands 8th
    with pytest.warns(match="Left out 1 of 30"):
        post = posterior(X, y, missing="drop")
    found = row_influence(post)
    assert not found.passed
    assert found.top(1) == (8,)
    assert "(9, " in found.verdict
    assert found.record["top"][0]["row"] == 9
    assert found.table.index[8] == 9
    assert abs(found.shift_in_sds[8]) > 0.5


@pytest.mark.parametrize("name", NAMES)
def test_every_row_that_counts_has_a_shift(name):
    problem = problems()[name]
    post = problem.infer(problem.routes[0])
    try:
        found = row_influence(post)
    except DataError as error:
        assert "leave-one-out" in str(error) or "whole numbers" in str(error)  # noqa: PT017
        return
    assert found.log_lambda_shift.shape == (post.design.n_rows,)
    count = post.loo.count
    assert (np.isnan(found.log_lambda_shift) == (count == 0)).all()
    assert len(found.top(3)) == min(3, int((count > 0).sum()))


def test_without_a_posterior_of_lambda_there_is_nothing_to_say():
    rng = np.random.default_rng(1)
    X = rng.standard_normal((20, 2))
    y = X.sum(axis=1) + rng.standard_normal(20)
    with pytest.raises(DataError, match="fixed or plugged in"):
        row_influence(posterior(X, y, prior=FixedLambda(3.0)))
