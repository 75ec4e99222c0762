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
# # 05 When ridge is the wrong prior
#
# **Guess first.** Three of twenty-four coefficients carry the signal. Ridge or horseshoe: which predicts better, and
# by how many nats on fifty rows? And when all twenty-four carry it equally?
#
# Ridge says: all (scaled) coefficients are of one size. If three of twenty-four carry the signal, that is wrong, and
# the data can tell.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from bayesridge.design.design import build_design
from bayesridge.mcmc.comparison import compare_priors

COLORS = {"ridge": "#0072b2", "lasso": "#d55e00", "horseshoe": "#009e73"}
STYLES = {"ridge": "-", "lasso": "--", "horseshoe": ":"}
SHIFTS = {"ridge": -0.2, "horseshoe": 0.2}
MARKERS = {"ridge": "o", "horseshoe": "^"}

# %% [markdown]
# ## Three shapes of belief
#
# Each scaled to the same middle half. The sparse ones have more mass near zero *and* far out.

# %% tags=["hide-input"]
value = np.linspace(-6, 6, 801)
rng = np.random.default_rng(0)
local = np.abs(rng.standard_cauchy(20_000))
horseshoe_quartile = np.quantile(local * rng.normal(size=local.size), 0.75)
scaled = value[:, None] * horseshoe_quartile
densities = {
    "ridge": stats.norm(scale=1 / stats.norm.ppf(0.75)).pdf(value),
    "lasso": stats.laplace(scale=1 / np.log(2)).pdf(value),
    "horseshoe": (stats.norm(scale=local).pdf(scaled)).mean(axis=1) * horseshoe_quartile,
}
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for name, density in densities.items():
    ax.plot(
        value,
        density,
        color=COLORS[name],
        ls=STYLES[name],
        label={"ridge": "ridge (normal)", "lasso": "lasso (Laplace)"}.get(name, name),
    )
ax.set(
    yscale="log", ylim=(1e-4, 5), xlabel="coefficient / its prior upper quartile", ylabel="prior density (log scale)"
)
ax.legend(frameon=False)
plt.show()

# %% [markdown]
# ## A sparse truth and a dense one
#
# 50 rows, 24 columns, noise 1, the same total signal: in three coefficients, or shared equally by all.

# %%
ROWS, COLUMNS = 50, 24
sparse = np.zeros(COLUMNS)
sparse[[2, 9, 15]] = [1.2, -1.0, 0.8]
dense = np.where(np.random.default_rng(7).random(COLUMNS) < 0.5, -1.0, 1.0) * np.linalg.norm(sparse) / np.sqrt(COLUMNS)


def compare(truth, seed, *others):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(ROWS, COLUMNS))
    design = build_design(X, X @ truth + rng.normal(size=ROWS))
    return compare_priors(
        design, models=("ridge", *others), expected_nonzero=3,
        sampler={"draws": 150, "tune": 200, "chains": 2, "progressbar": False}, random_state=seed,
    )  # fmt: skip


found = {
    "sparse truth": (sparse, compare(sparse, 11, "horseshoe")),  # each model takes a quarter of a minute to compile
    "dense truth": (dense, compare(dense, 12, "horseshoe")),
}
for name, (_, comparison) in found.items():
    print(f"{name}: {comparison.sentence}\n")

# %% tags=["hide-input"]
fig, axes = plt.subplots(2, 1, figsize=(9, 6.2), sharex=True, layout="constrained")
for ax, (title, (truth, comparison)) in zip(axes, found.items(), strict=True):
    ax.bar(range(COLUMNS), truth, color="0.85", width=0.9, label="truth")
    for name in comparison.trees:
        draws = comparison.trees[name]["posterior"]["coef"].values.reshape(-1, COLUMNS)
        low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
        ax.errorbar(
            np.arange(COLUMNS) + SHIFTS[name],
            middle,
            [middle - low, high - middle],
            fmt=MARKERS[name],
            ms=3,
            lw=1,
            color=COLORS[name],
            label=name,
        )
    ax.axhline(0, color="0.3", lw=0.6)
    ax.set(title=title, ylabel="coefficient, 90% ETI")
axes[1].set(xlabel="column", xticks=range(COLUMNS))
axes[0].legend(ncols=4, frameon=False, loc="upper right")
plt.show()

# %% [markdown]
# Above: ridge shrinks the three large coefficients and keeps the others wide; the horseshoe does less of both. Below:
# there is nothing to leave out, and the horseshoe pulls to zero what is not zero.
#
# ## What it is worth
#
# Leave-one-out log predictive density, relative to ridge; larger is better.

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
for row, (_, comparison) in enumerate(found.values()):
    elpd = comparison.table["elpd"]
    for name in [name for name in comparison.trees if name != "ridge"]:
        shift = SHIFTS[name] - 0.12
        gain = elpd[name] - elpd["ridge"]
        ax.barh(
            row + shift,
            gain,
            height=0.2,
            color=COLORS[name],
            label=name if row == 0 else None,
        )
        ax.annotate(f"{gain:+.1f}", (gain, row + shift), xytext=(4 if gain >= 0 else -4, 0), textcoords="offset points",
                    ha="left" if gain >= 0 else "right", va="center")  # fmt: skip
ax.axvline(0, color="0.3", lw=0.8)
ax.margins(x=0.15)
ax.set(yticks=[0, 1], yticklabels=list(found), ylim=(1.6, -0.6), xlabel="gain in elpd over ridge, nats")
ax.legend(frameon=False, loc="lower right")
plt.show()

# %% [markdown]
# The table has `exact_elpd` for ridge: how far importance sampling is off there. `bad_rows` counts the rows it is not
# to be trusted on. `verdict` judges the chains: short ones are doubtful to the last digit, and do for a few nats.

# %%
found["sparse truth"][1].table.drop(columns="seconds").round(2)

# %% [markdown]
# A difference counts when it exceeds four nats and two of its standard errors. Until then keep ridge, whose posterior
# is exact and takes a millisecond.

# %%
assert found["sparse truth"][1].table.index[0] == "horseshoe"
assert found["dense truth"][1].ridge == "best"
for _, comparison in found.values():
    ridge = comparison.table.loc["ridge"]
    # importance sampling against the exact figure: they part only where it confesses bad rows
    assert ridge["bad_rows"] > 0 or abs(ridge["elpd"] - ridge["exact_elpd"]) < 1.0

# %% [markdown]
# ## To try
#
# Put the signal into eight coefficients instead of three. Which prior wins now, and is the difference more than two
# of its standard errors?
#
# **To remember:** ridge believes that all coefficients are of one size; where the data say otherwise, change the
# prior, not lambda.
