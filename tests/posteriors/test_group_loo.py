"""Groups of rows left out: at every node the evidence with and without them; single rows are leave-one-out."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import gammaln

from bayesridge import posterior
from bayesridge.errors import AccuracyWarning, DataError
from bayesridge.hyper.nodes import ConjugateNoise, Nodes
from bayesridge.posteriors.group_loo import leave_groups_out
from bayesridge.priors import FixedLambda
from tests.engines.test_schur import THETA, engines, problem
from tests.hyper.test_groups import GROUPS, table


@dataclass
class OneNode:
    nodes: Nodes


@pytest.mark.parametrize("case", [(None, False, True), ("precision", True, True)])
def test_a_group_left_out_is_the_fit_without_it(case):
    found, plain = engines(*case)
    codes, y = problem(*case[:2])[2][0].codes, problem(*case[:2])[1]
    keep = codes != 2
    w = found.design.weights
    rest = found.of_rows(np.flatnonzero(keep), found.design.y[keep], None if w is None else w[keep])
    new = found.design.source.take(~keep)
    for theta in THETA[:, None]:

        def log_p(engine, theta=theta):
            log_norm, excess = engine.evidence(theta)
            Q = engine.floor + excess[0]
            return engine.constant + log_norm[0] + gammaln(engine.nu / 2) - engine.nu / 2 * np.log(Q / 2)

        for engine in (found, plain):
            Q = engine.floor + engine.evidence(theta)[1]
            node = OneNode(Nodes(theta, np.ones(1), ConjugateNoise(0.5 * engine.nu, 0.5 * Q)))
            out = leave_groups_out(engine, node, codes)
            assert out.log_density[2] == pytest.approx(log_p(found) - log_p(rest), abs=1e-9)
            expected = rest.at(theta).mean(rest.rows(new))[:, 0]
            np.testing.assert_allclose(out.mean[~keep], expected, rtol=1e-9, atol=1e-10)
    assert len(y) == len(out.mean)


def test_groups_of_one_row_are_leave_one_out():
    X, y = table()
    post = posterior(X, y, groups=GROUPS)
    out = post.leave_groups_out(np.arange(40))
    np.testing.assert_allclose(out.log_density, post.loo.pointwise, atol=1e-10)
    np.testing.assert_allclose(out.mean, post.loo.mean, rtol=1e-9)
    one = posterior(X, y)
    np.testing.assert_allclose(one.leave_groups_out(np.arange(40)).log_density, one.loo.pointwise, atol=1e-9)
    with pytest.raises(DataError, match="one label a row"):
        post.leave_groups_out(np.arange(39))


def test_what_rounding_leaves_of_a_group_of_outliers_is_said():
    X, y = table()
    y = y + 1e6 * (np.arange(40) < 5) * np.resize([1.0, -1.0, 2.0], 40)
    post = posterior(X, y, prior=FixedLambda(1.0))
    with pytest.warns(AccuracyWarning, match="rows of 0 is right to") as given:
        found = post.leave_groups_out(np.arange(40) // 5).log_density[0]
    rest = posterior(X[5:], y[5:], prior=FixedLambda(1.0), scale=post.design.scale)
    off = abs(found - (post.log_marginal_likelihood - rest.log_marginal_likelihood))
    assert 1e-7 < off < float(str(given[0].message).split("right to ")[1].split()[0]) < 0.1
