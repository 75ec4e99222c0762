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
# # 10 A smooth
#
# **Guess first.** A curve with twenty coefficients is fitted to 150 points. How many parameters does it use: two, ten
# or twenty?
#
# What the penalty of a smooth means, what its degrees of freedom count, and what its bands promise. The truth is known.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from bayesridge import BayesRidge

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %%
rng = np.random.default_rng(10)
x = np.sort(rng.uniform(0.0, 10.0, 150)).round(3)
table = pd.DataFrame({"x": x, "y": (np.sin(x) + 0.15 * x + rng.normal(0.0, 0.35, 150)).round(4)})
grid = np.linspace(table.x.min(), table.x.max(), 200)
truth = np.sin(grid) + 0.15 * grid

# %% [markdown]
# ## The penalty
#
# The curve is a sum of twenty bumps. The penalty is on the second differences of their heights, on bending: at
# $\lambda = 0$ nothing holds the curve, at $\lambda = \infty$ a straight line is left, which has no penalty.

# %%
fit = BayesRidge(formula="y ~ s(x)").fit(table)
fit

# %% tags=["hide-input"]
new = pd.DataFrame({"x": grid})
fig, axes = plt.subplots(1, 3, figsize=(9.0, 3.0), layout="constrained", sharey=True)
for ax, lam in zip(axes, (1e-4, fit.lambda_, 1e4), strict=True):
    one = BayesRidge(formula="y ~ s(x)", method="fixed", lam=lam).fit(table)
    ax.plot(table.x, table.y, ".", color=GREY, ms=4)
    ax.plot(grid, truth, color="black", lw=1.0, ls=":")
    ax.plot(grid, one.predict(new), color=BLUE, lw=2.0)
    dof = one.posterior_.effective_dof.median + 2.0
    ax.set_title(f"λ = {lam:.3g}: {dof:.1f} degrees of freedom", fontsize=9)
    ax.set_xlabel("x")
axes[0].set_ylabel("y")
plt.show()

# %% [markdown]
# Degrees of freedom count: the intercept and the slope are two, and each of the eighteen directions of bending counts
# by how much of it the penalty leaves, $s^2 / (s^2 + \lambda)$. They are a function of lambda, and lambda is not
# known exactly:

# %%
fit.hyper_summary().iloc[:, :3].round(2)

# %% [markdown]
# ## Beside mgcv
#
# `gam(y ~ s(x, bs = "ps", k = 20), method = "REML")` in R has the same basis and penalty, and plugs in the lambda of
# the largest REML criterion. `method="evidence"` does that too.

# %%
reml = BayesRidge(formula="y ~ s(x)", method="evidence").fit(table)
at = pd.DataFrame({"x": [1.0, 5.0, 9.0]})
mgcv = [1.016302, 9.712022, 0.865525406, -0.156976169, 1.638791853]
ours = [reml.lambda_, reml.posterior_.effective_dof.median + 2.0, *reml.predict(at)]
rows = ["lambda (their sp / S.scale)", "degrees of freedom", "curve at 1", "curve at 5", "curve at 9"]
pd.DataFrame({"mgcv": mgcv, "method='evidence'": ours}, index=rows).round(6)

# %% [markdown]
# ## The bands
#
# At each x the band holds the curve with probability 95%, given the model; lambda and sigma are integrated. Over many
# tables and all x such bands cover close to 95%. Within one table errors run along the curve: it is outside for a
# while, or nowhere. So it is here:

# %% tags=["hide-input"]
found = fit.predictive(new)
fig, ax = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
ax.fill_between(grid, *found.interval(0.95).T, color=BLUE, alpha=0.12, lw=0, label="a new observation")
ax.fill_between(grid, *found.expected.interval(0.95).T, color=BLUE, alpha=0.4, lw=0, label="the curve, 95% ETI")
ax.plot(table.x, table.y, ".", color=GREY, ms=4)
ax.plot(grid, truth, color="black", lw=1.2, ls=":", label="truth")
ax.set_xlabel("x")
ax.set_ylabel("y")
ax.legend(frameon=False, fontsize=8)
plt.show()

# %%
band = found.expected.interval(0.95)
covered = np.mean((band[:, 0] < truth) & (truth < band[:, 1]))
print(f"this band holds {100 * covered:.0f}% of this curve")

# %% [markdown]
# **Exercise.** Fit `s(x, k=40)`. Which of lambda, the degrees of freedom and the curve change, and why does one of
# them change by a factor of about ten?
#
# **To remember:** the number of bumps is a ceiling, and the penalty, learned from the data, says how many degrees of
# freedom a curve uses.

# %%
assert covered > 0.5
np.testing.assert_allclose(ours, mgcv, rtol=2e-4)
assert 2.0 < fit.posterior_.effective_dof.median + 2.0 < 20.0
