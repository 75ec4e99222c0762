"""The script behind the table of where rules fail: its risk, and what a cell says."""

import numpy as np
import pytest

from bayesridge.fit import posterior
from bayesridge.priors import FixedLambda
from benchmarks.rule_failures import ORACLE, SITUATIONS, Numbers, Situation, cell, one_table, risk


def test_the_risk_is_the_mean_squared_error_at_new_rows():
    rng = np.random.default_rng(1)
    X, beta = rng.standard_normal((30, 4)) * 2.0 + 1.0, np.array([1.0, -1.0, 0.5, 0.0])
    post = posterior(X, X @ beta + rng.standard_normal(30), prior=FixedLambda(7.0))
    new = rng.standard_normal((400_000, 4))
    squared = np.square(post.predict(new).expected.mean - new @ beta)
    sem = squared.std() / np.sqrt(len(squared))
    assert risk(post, beta, 7.0) == pytest.approx(squared.mean(), abs=4 * sem)
    # at one lambda the posterior mean is that lambda's fit
    assert risk(post, beta, None) == pytest.approx(risk(post, beta, 7.0), rel=1e-12)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda one: one.title)
def test_no_rule_beats_the_oracle(situation):
    labels, found = one_table(situation, 3)
    assert found.keys() == {*labels, ORACLE}
    excess = np.array([one.excess for key, one in found.items() if key != "posterior"])
    # the oracle is found on a grid, 1/15 of a log unit a step; the posterior's mean fit is that of no single lambda
    assert np.nanmin(excess) > -1e-3 * max(found[ORACLE].excess, 1e-20)
    assert ("cv5_grouped" in labels) == ("twice" in situation.title)


def test_what_a_cell_says():
    plain, silent = Situation("", SITUATIONS[0].make), Situation("", SITUATIONS[0].make, "infinite")
    numbers = [Numbers(2.0, 0.5, 0.1), Numbers(np.inf, np.inf, 0.3), Numbers(np.nan, np.nan, np.nan)]
    assert cell(plain, numbers[:1]) == "x 0.5, +10%"
    assert cell(silent, numbers) == "50% infinite, +20% (1 without answer)"
    assert cell(plain, numbers[2:]) == "no answer"
    assert cell(plain, [Numbers(np.nan, np.nan, 0.02)]) == "+2%"  # the full posterior
