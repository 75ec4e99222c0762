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
# # 03 Choosing lambda
#
# **Guess first.** The same sixteen rows of economics, twenty-two rules: by which factor do their lambdas differ, 2,
# 100 or 10,000?
#
# Twenty-two rules choose a lambda. Which one is right, how far are they apart, and does it matter?

# %% tags=["hide-input"]
import warnings

import matplotlib.pyplot as plt
import numpy as np

from bayesridge import BayesRidge
from bayesridge.datasets import load_xy
from bayesridge.errors import NoSignalWarning
from bayesridge.hyper.evidence import profile_log_evidence
from bayesridge.linalg.filters import standardized_coefficients
from bayesridge.linalg.rows import loo_residuals
from bayesridge.rules.catalogue import pick_rules
from bayesridge.rules.comparison import compare_lambda

warnings.simplefilter("ignore", NoSignalWarning)  # some simulated tables show none
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## What a rule sees
#
# Each rule scores lambda and takes the best. Two of them on the diabetes table, and the posterior below.

# %% tags=["hide-input"]
X, y = load_xy("diabetes")
fit = BayesRidge().fit(X, y)
design, spectrum = fit.posterior_.design, fit.posterior_.spectrum
grid = np.geomspace(0.05, 1000, 300)
evidence = profile_log_evidence(spectrum, grid)
loo = np.sqrt(np.square(loo_residuals(design, spectrum, grid)).mean(axis=1))

fig, (top, middle, bottom) = plt.subplots(3, 1, figsize=(8, 6), sharex=True, layout="constrained")
top.plot(grid, loo, color=ORANGE)
top.plot(grid[loo.argmin()], loo.min(), "o", color=ORANGE)
top.set(ylabel="leave-one-out\nRMSE, score", ylim=(54.7, 55.3))
middle.plot(grid, evidence - evidence.max(), color=GREEN)
middle.plot(grid[evidence.argmax()], 0, "o", color=GREEN)
middle.set(ylabel="log evidence\n(highest = 0)", ylim=(-6, 0.5))
bottom.fill_between(grid, np.exp(fit.posterior_.lambda_.log_pdf_log(np.log(grid))), color=BLUE, alpha=0.3)
bottom.set(xscale="log", xlabel=r"$\lambda$", ylabel=r"posterior density" + "\n" + r"of $\log\lambda$", ylim=(0, None))
plt.show()

# %% [markdown]
# Leave-one-out error is flat for two decades: it takes its minimum where a handful of rows happen to put it. The
# evidence has a peak with a width. The posterior is that peak with the prior, and its width is the answer to "how
# sure?".
#
# ## All rules, two tables

# %% tags=["hide-input"]
tables = {"diabetes: 442 rows, 10 columns": "diabetes", "Longley: 16 rows, 6 columns": "longley"}
comparisons = {title: compare_lambda(*load_xy(name), progress=False) for title, name in tables.items()}
fig, axes = plt.subplots(1, 2, figsize=(10.5, 6.2), sharey=True, layout="constrained")
for ax, (title, comparison) in zip(axes, comparisons.items(), strict=True):
    rules = [row for row in comparison.rows if row.key != "posterior"]
    low, high = comparison.problem.posterior.lambda_.interval(0.95)
    ax.axvspan(low, high, color=BLUE, alpha=0.15, lw=0, label="95% ETI of the posterior")
    for place, row in enumerate(rules):
        if row.interval is not None:
            ax.plot([row.interval.lower, row.interval.upper], [place, place], color=GREY, lw=1.2)
        ax.plot(
            row.lam,
            place,
            "s" if row.key.startswith("posterior") else "o",
            color=BLUE if row.key.startswith("posterior") else ORANGE,
            ms=5,
        )
    ax.set(xscale="log", xlabel=r"$\lambda$", title=title, yticks=range(len(rules)))
axes[0].set_yticklabels([row.label for row in rules])
axes[0].invert_yaxis()
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower right", frameon=False)
plt.show()

# %%
for title, comparison in comparisons.items():
    print(f"{title}\n{comparison.disagreement}\n")

# %% [markdown]
# For diabetes any of these will do. For Longley the rules are four orders of magnitude apart, and two of them pay for
# it.
#
# ## How noisy is a choice, and what does it cost?
#
# 120 tables of 40 rows with 8 correlated columns, noise 2, for each of two kinds of truth: coefficients of one
# size in any direction, as the ridge prior has it; and coefficients that are alike for columns that are alike, so that
# the signal lies along the leading directions. The cost is the error of predicted means, relative to that of the best
# lambda of each table. (A choice of infinity is drawn at 10000.)

# %% tags=["hide-input"]
RULES = {"cv10": "10-fold cross-validation", "gcv": "GCV", "loo_log": "LOO log score", "reml": "evidence (REML)"}
TABLES = 120
ROOT = np.linalg.cholesky(0.7 ** np.abs(np.subtract.outer(range(8), range(8)))).T
ALIKE = np.array([1.0, 0.8, 0.6, 0.4, 0.2, 0.0, -0.2, -0.4])
wide = np.geomspace(1e-3, 1e4, 400)


def study(draw_truth, seed):
    """Return each rule's choices, and the errors of each rule, of the posterior mean and of the best lambda."""
    rng = np.random.default_rng(seed)
    chosen = {name: [] for name in RULES}
    errors = {name: [] for name in [*RULES, "posterior", "best"]}
    for _ in range(TABLES):
        truth = draw_truth(rng)
        X = rng.normal(size=(40, 8)) @ ROOT
        y = X @ truth + 2.0 * rng.normal(size=40)
        found = compare_lambda(X, y, rules=pick_rules(list(RULES)), progress=False)
        posterior = found.problem.posterior

        def error(coef, truth=truth):
            return np.square((coef - truth) @ ROOT.T).sum(axis=-1)

        def ridge_error(lam, posterior=posterior, error=error):
            return error(standardized_coefficients(posterior.spectrum, lam) / posterior.design.scale)

        for name in RULES:
            chosen[name].append(np.clip(found.row(name).lam, 1e-3, 1e4))
            errors[name].append(ridge_error(found.row(name).lam))
        errors["posterior"].append(error(posterior.coefficients.mean))
        errors["best"].append(ridge_error(wide).min())
    return chosen, {name: np.array(values) for name, values in errors.items()}


studies = {
    "as the prior has it": study(lambda rng: rng.normal(0, 0.7, 8), 5),
    "along the leading directions": study(lambda _: ALIKE, 6),
}
fig, axes = plt.subplots(2, 2, figsize=(10.5, 5.6), layout="constrained", sharex="col")
cost, spread = {}, {}
for (left, right), (title, (chosen, errors)) in zip(axes, studies.items(), strict=True):
    left.boxplot(
        list(chosen.values()), orientation="horizontal", tick_labels=list(RULES.values()), whis=(5, 95), sym=""
    )
    left.set(xscale="log", title=f"truth {title}", ylim=(0.4, 5.6))
    for place, name in enumerate([*RULES, "posterior"], start=1):
        ratio = errors[name].mean() / errors["best"].mean()
        bar = 1.96 * np.std(errors[name] - ratio * errors["best"]) / np.sqrt(TABLES) / errors["best"].mean()
        cost[title, name], spread[title, name] = ratio, bar
        look = {"fmt": "s", "color": BLUE} if name == "posterior" else {"fmt": "o", "color": ORANGE}
        right.errorbar(ratio, place, xerr=bar, capsize=3, **look)
    right.set(yticks=range(1, 6), yticklabels=[*[""] * 4, "lambda\nintegrated"], ylim=(0.4, 5.6))
    right.grid(axis="y", lw=0.4)
axes[1, 0].set_xlabel(r"chosen $\lambda$ (box: quartiles, whiskers: 5% and 95%)")
axes[1, 1].set_xlabel("error / error at the best lambda (bars: 95% Wald interval)")
plt.show()

# %% [markdown]
# Above, where ridge's prior is right, the rules are noisy, cross-validation most, and not choosing at all costs least.
# Below, where it is not quite right, the evidence asks for less shrinkage than this truth would like, leave-one-out for
# more, and all of them end within each other's error bars. No rule wins everywhere; the posterior says how little the
# data know about lambda, and its intervals take that into account.

# %%
mine = cost["as the prior has it", "posterior"]
assert all(mine < cost["as the prior has it", name] for name in RULES)
assert cost["as the prior has it", "reml"] < cost["as the prior has it", "cv10"]
aligned = [cost["along the leading directions", name] for name in [*RULES, "posterior"]]
assert max(aligned) - min(aligned) < 2 * spread["along the leading directions", "posterior"]
diabetes, longley = comparisons.values()
assert np.isclose(diabetes.row("reml").lam, fit.posterior_.evidence.best.lam, rtol=1e-6)
assert np.isclose(grid[loo.argmin()], diabetes.row("loo").lam, rtol=0.05)  # the grid's step
assert longley.row("quasi_optimality").elpd_loo < longley.row("posterior").elpd_loo - 10

# %% [markdown]
# ## To try
#
# Give `compare_lambda` the sensor's table (`load_xy("sensor")`). Which rules leave the shade, and does `regret` in
# `comparisons[...].table` say that it costs anything?
#
# **To remember:** rules for lambda disagree most where it matters least; ask what a choice costs before you defend it.
