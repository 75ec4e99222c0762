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
# # 02 What a point hides
#
# **Guess first.** Eight rows, three columns, and lambda plugged in where the evidence is highest: how many of its "95%"
# intervals for new observations hold the observation? Write a number down.
#
# A MAP, or a plugged-in lambda, is one point of a distribution. With few rows the rest of it matters.

# %% tags=["hide-input"]
import warnings

import matplotlib.pyplot as plt
import numpy as np

from bayesridge import BayesRidge, FixedScales
from bayesridge.errors import NoSignalWarning

warnings.simplefilter("ignore", NoSignalWarning)  # eight rows often show no signal; that is the point
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## Eight rows, three columns
#
# The truth: coefficients 1, 0.5 and 0, noise 1.

# %%
TRUTH, NOISE, ROWS = np.array([1.0, 0.5, 0.0]), 1.0, 8


def table(rng, rows=ROWS):
    X = rng.normal(size=(rows, 3)) @ np.linalg.cholesky([[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]]).T
    return X, X @ TRUTH + NOISE * rng.normal(size=rows)


X, y = table(np.random.default_rng(24))
full = BayesRidge().fit(X, y).posterior_
plug_in = BayesRidge(method="evidence").fit(X, y).posterior_
best = full.evidence.best
point = BayesRidge(method="fixed", prior=FixedScales(best.sigma, best.tau)).fit(X, y).posterior_
print(f"evidence maximum: lambda {best.lam:.2f}, sigma {best.sigma:.2f}")
print(
    "posterior of lambda: median {:.2f}, 95% ETI {:.2f} to {:.0f}".format(
        full.lambda_.median, *full.lambda_.interval(0.95)
    )
)

# %% tags=["hide-input"]
t = np.linspace(np.log(1e-3), np.log(1e4), 400)
value = np.linspace(-2.5, 5.0, 400)
fig, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8), layout="constrained")
left.fill_between(np.exp(t), np.exp(full.lambda_.log_pdf_log(t)), color=BLUE, alpha=0.3, label="posterior")
left.axvline(best.lam, color=ORANGE, label="evidence maximum,\nplugged in")
left.set(xscale="log", xlabel=r"$\lambda$", ylabel=r"density of $\log\lambda$", ylim=(0, 0.42))
left.legend(frameon=False, loc="upper right")
for posterior, color, style, name in [
    (point, ORANGE, ":", "lambda and sigma plugged in"),
    (plug_in, GREEN, "-.", "lambda plugged in"),
    (full, BLUE, "-", "both integrated"),
]:
    density = [np.exp(posterior.coefficients.log_pdf(v)[0]) for v in value]
    right.plot(value, density, color=color, ls=style, label=name)
right.axvline(TRUTH[0], color=GREY, ls="--", label="truth")
right.set(xlabel="first coefficient", ylabel="posterior density (log scale)", yscale="log", ylim=(1e-3, 60))
right.legend(frameon=False, loc="upper right", fontsize=9)
plt.show()

# %% [markdown]
# The curves have nearly one centre and different tails: to the narrow one a coefficient of 3 is out of the question.
# It is not more certain, it has forgotten things. (The corner of the blue curve at zero is real: there very large
# lambdas have their mass.)
#
# ## Does it matter? Count.
#
# Four hundred tables of eight rows; for each, twenty new observations and their 95% predictive intervals.

# %% tags=["hide-input"]
rng = np.random.default_rng(20)
inside = {"lambda and sigma plugged in": [], "lambda plugged in": [], "both integrated": []}
for _ in range(400):
    X, y = table(rng)
    new, target = table(rng, 20)
    full = BayesRidge().fit(X, y)
    best = full.posterior_.evidence.best
    scales = FixedScales(best.sigma, max(best.tau, 1e-6 * best.sigma))
    fits = [
        BayesRidge(method="fixed", prior=scales),
        BayesRidge(method="fixed", lam=best.lam if np.isfinite(best.lam) else 1e12),
    ]
    for name, fit in zip(inside, [*(f.fit(X, y) for f in fits), full], strict=True):
        low, high = fit.predict_interval(new, level=0.95).T
        inside[name].append(((low <= target) & (target <= high)).mean())
coverage = {name: np.mean(found) for name, found in inside.items()}
error = {name: np.std(found) / np.sqrt(len(found)) for name, found in inside.items()}

fig, ax = plt.subplots(figsize=(8, 2.6), layout="constrained")
for row, (name, color) in enumerate(zip(coverage, [ORANGE, GREEN, BLUE], strict=True)):
    ax.errorbar(100 * coverage[name], row, xerr=196 * error[name], fmt="o", color=color, capsize=3)
    ax.annotate(
        f"{100 * coverage[name]:.1f}%",
        (100 * coverage[name], row),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
    )
ax.axvline(95, color=GREY, ls="--")
ax.set(
    yticks=range(3),
    yticklabels=list(coverage),
    ylim=(2.6, -0.6),
    xlabel="coverage of 95% predictive intervals, % (bars: 95% Wald interval)",
)
plt.show()

# %% [markdown]
# "95%" that covers less is not a conservative answer, it is a wrong one. Integrating costs a millisecond.

# %%
assert coverage["lambda and sigma plugged in"] < 0.90
assert coverage["lambda and sigma plugged in"] < coverage["lambda plugged in"] < coverage["both integrated"]
assert abs(coverage["both integrated"] - 0.95) < 0.02

# %% [markdown]
# ## To try
#
# Repeat the count with `rows=40`, for instance `table(rng, 40)` in the loop. At how many rows would you stop caring?
#
# **To remember:** a plugged-in lambda gives intervals that forget that it was estimated; few rows make it show.
