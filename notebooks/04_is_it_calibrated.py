# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---
# %% [markdown]
# # 04 Is it calibrated?
#
# **Guess first.** Three fits below are tested against simulated truths: the exact posterior, one with lambda plugged
# in, one with another prior than the truth's. Which of the two wrong ones is easier to catch?
#
# Is the posterior computed right? Do intervals hold the truth as often as they say? Does the prior fit these data? And
# the noise?

# %% tags=["hide-input"]
import sys

import matplotlib.pyplot as plt
import numpy as np

from bayesridge import BayesRidge, BetaR2, plots, validate
from bayesridge.checks.sbc import sbc
from bayesridge.checks.spectral_check import spectral_check
from bayesridge.datasets import load_xy

sys.path.insert(0, "..")  # the coverage study is a benchmark of the repository, not part of the package
from benchmarks.coverage.methods import Evidence, Exact, SklearnBayesianRidge
from benchmarks.coverage.study import coverage_study
from benchmarks.coverage.worlds import Scenario

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## Is it computed right?
#
# Simulation-based calibration: draw parameters from the prior, data from the parameters, and ask where the truth falls
# in its posterior. If all is right, anywhere with equal probability. The picture shows the distribution of that place
# less what it should be; the band holds all of the line with probability 95%.

# %%
SIZE, RUNS = (15, 4), 200
COMMON = {"simulations": RUNS, "random_state": 1}
studies = {
    "exact posterior": sbc(SIZE, BetaR2(1, 1), **COMMON),
    "lambda plugged in (evidence)": sbc(SIZE, BetaR2(1, 1), method="evidence", **COMMON),
    "another prior than the truth's": sbc(SIZE, BetaR2(1, 1), fit_prior=BetaR2(1, 9), **COMMON),
}
QUANTITIES = {"x0": (BLUE, "-"), "sigma": (ORANGE, "--"), "new observation": (GREEN, ":")}
QUANTITIES["log likelihood"] = ("#cc79a7", "-.")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(11, 3.6), sharey=True, layout="constrained")
for ax, (title, found) in zip(axes, studies.items(), strict=True):
    band = found.band(0.95)
    ax.fill_between(band.z, band.lower - band.z, band.upper - band.z, color="0.88", lw=0, label="95% simultaneous band")
    for quantity, (color, style) in QUANTITIES.items():
        ax.plot(band.z, found.ecdf(quantity) - band.z, color=color, ls=style, lw=1.3, label=quantity)
    ax.set(
        title=f"{title}\n{'passed' if found.passed else 'NOT calibrated'}", xlabel="place of the truth in its posterior"
    )
axes[0].set_ylabel("ECDF less uniform")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=5, frameon=False)
plt.show()

# %% [markdown]
# The other two are positive controls: a test that cannot fail is worth nothing.
#
# ## Do intervals hold the truth?
#
# The parameters now stand at one place, and sometimes the model is wrong on purpose.

# %% tags=["hide-input"]
SCENARIOS = {
    "8 rows x 3": Scenario(8, 3),
    "20 x 15": Scenario(20, 15),
    "20 x 40": Scenario(20, 40),
    "50 x 20, r = 0.9": Scenario(50, 20, correlation=0.9),
    "50 x 20, few nonzero": Scenario(50, 20, nonzero=0.2),
    "50 x 20, t3 noise": Scenario(50, 20, noise_df=3.0),
    "200 x 20": Scenario(200, 20),
}
METHODS = [Exact(), Evidence(), SklearnBayesianRidge()]
LOOK = {METHODS[0].key: (BLUE, "o", "lambda integrated"), METHODS[1].key: (GREEN, "s", "evidence plugged in"),
        METHODS[2].key: (ORANGE, "^", "scikit-learn BayesianRidge")}  # fmt: skip
coverage = coverage_study(list(SCENARIOS.values()), METHODS, replications=50, random_state=3)
coverage["place"] = np.repeat(range(len(SCENARIOS)), len(METHODS))

fig, axes = plt.subplots(1, 2, figsize=(10.5, 4.2), sharey=True, layout="constrained")
for ax, measure, title in zip(axes, ["coef", "new"], ["coefficients", "new observations"], strict=True):
    for shift, (key, (color, marker, label)) in zip([-0.2, 0.0, 0.2], LOOK.items(), strict=True):
        rows = coverage[coverage["method"] == key]
        ax.errorbar(100 * rows[f"{measure}_coverage"], rows["place"] + shift, xerr=196 * rows[f"{measure}_coverage_se"],
                    fmt=marker, ms=4, color=color, label=label)  # fmt: skip
    ax.axvline(95, color=GREY, ls="--", lw=1)
    ax.set(title=title, xlabel="coverage of 95% intervals, % (bars: 95% Wald interval)")
axes[0].set(yticks=range(len(SCENARIOS)), yticklabels=list(SCENARIOS))
axes[0].invert_yaxis()
axes[0].legend(frameon=False, loc="lower left")
plt.show()

# %% [markdown]
# With many rows all agree. With few, integrating keeps the promise to new observations and comes within four points
# for coefficients; plugging in misses by up to thirty.
#
# ## Does the prior fit these data?
#
# Ridge expects the target's projections on the singular directions to be normal numbers of known size. Divided by that
# size they should lie on the diagonal, inside the band of simulated data. Above: real data. Below: a table whose signal
# sits in two directions only.

# %% tags=["hide-input"]
rng = np.random.default_rng(2)
X = rng.normal(size=(200, 40))
U, _, _ = np.linalg.svd((X - X.mean(axis=0)) / X.std(axis=0), full_matrices=False)
y = 14 * U[:, 30] - 12 * U[:, 35] + rng.normal(size=200)
checks = {
    "diabetes": spectral_check(BayesRidge().fit(*load_xy("diabetes")).posterior_),
    "signal in two small directions": spectral_check(BayesRidge().fit(X, y).posterior_),
}
for title, check in checks.items():
    fig, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    plots.spectral_check(check, axes=axes)
    fig.suptitle(title)
plt.show()
for title, check in checks.items():
    print(f"{title}: {check.verdict}\n")

# %% [markdown]
# ## All of it on one card
#
# `validate` asks these questions of one table, and some more: are the residuals what the model says, does one row
# decide lambda, how much does the prior decide, which rule would have predicted best?

# %%
card = validate(*load_xy("diabetes"), simulations=200, progress=False)
for entry in card.entries:
    print(f"{entry.key:14}{entry.status:8}{entry.question}")
print(f"\n{card.verdict}")

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
plots.loo_pit(card.posterior, ax=left)
plots.posterior_predictive(card.posterior, ax=right)
plt.show()

# %% [markdown]
# Overall the predictions are as uncertain as they say (left). But the model expects scores that cannot occur (right:
# replicated curves start below zero), and patients with high predictions scatter more: intervals for single patients
# are too wide at one end and too narrow at the other.

# %%
assert studies["exact posterior"].passed
assert not studies["lambda plugged in (evidence)"].passed
assert not studies["another prior than the truth's"].passed
exact = coverage[coverage["method"] == METHODS[0].key]
theirs = coverage[coverage["method"] == METHODS[2].key]
assert (exact["new_coverage"] > 0.92).all()
assert theirs["new_coverage"].iloc[0] < 0.90
assert checks["diabetes"].passed
assert not checks["signal in two small directions"].passed
assert {entry.key for entry in card.entries if entry.status == "alarm"} == {"noise"}

# %% [markdown]
# ## To try
#
# Fit the second table of the spectral check with a prior that expects less (`BetaR2(1, 9)`). Does the check pass? Why
# should a prior on lambda alone not be able to mend it?
#
# **To remember:** "95%" is a claim that can be checked, and a check is worth something only when it can fail.
