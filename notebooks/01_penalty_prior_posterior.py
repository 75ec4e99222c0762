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
# # 01 Penalty, prior and posterior
#
# **Guess first.** Two columns say almost the same (r = -0.97). As the penalty grows from nothing, do both coefficients
# shrink at once, or does one grow before it shrinks?
#
# Ridge adds a penalty to the squared error. A Bayesian adds a normal prior to a normal likelihood. At $\lambda =
# \sigma^2/\tau^2$ they are one and the same.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from bayesridge import BayesRidge, FixedScales
from bayesridge.datasets import load_xy
from bayesridge.design.design import build_design
from bayesridge.linalg.filters import ridge_path, standardized_coefficients
from bayesridge.linalg.optimizer import map_estimate
from bayesridge.linalg.spectrum import factorize
from bayesridge.mcmc.map import map_three_ways

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## Two coefficients, so that we can see them
#
# The sensor's error against temperature and humidity alone. They are almost the same column (r = -0.97), so squared
# error hardly knows how to split the effect: its contours are a long valley.

# %% tags=["hide-input"]
X, y = load_xy("sensor")
pair = X[["temperature", "humidity"]]
design = build_design(pair.to_numpy(), y.to_numpy(), names=["temperature", "humidity"], target_name="error")
spectrum = factorize(design)
Z = design.standardize(design.X, design.penalized)
yc = design.y - design.y_mean

grid = np.linspace(-4.5, 7.5, 241)
b1, b2 = np.meshgrid(grid, grid - 2.5)
rss = np.square(yc[:, None, None] - Z[:, :1, None] * b1 - Z[:, 1:, None] * b2).sum(axis=0)
path = standardized_coefficients(spectrum, np.geomspace(1e-4, 1e6, 400))
ols = standardized_coefficients(spectrum, 0.0)

fig, axes = plt.subplots(1, 3, figsize=(11, 4.0), sharex=True, sharey=True, layout="constrained")
for ax, lam in zip(axes, [1.0, 10.0, 100.0], strict=True):
    found = standardized_coefficients(spectrum, lam)
    levels = rss.min() + np.array([4, 16, 64, 256, 1024])
    ax.contour(b1, b2, rss, levels, colors=GREY, linewidths=0.9)
    ax.contour(b1, b2, rss, [np.square(yc - Z @ found).sum()], colors="0.2", linewidths=1.4)
    for radius in np.linalg.norm(found) * np.array([0.5, 1.0, 1.5]):
        ax.add_patch(
            plt.Circle((0, 0), radius, fill=False, color=ORANGE, lw=1.4 if radius == np.linalg.norm(found) else 0.6)
        )
    ax.plot(*path.T, color=BLUE, lw=1)
    ax.plot(*ols, "s", color=GREY, label="least squares")
    ax.plot(*found, "o", color=BLUE, ms=8, label="ridge = MAP")
    ax.plot(0, 0, "+", color=ORANGE, ms=10, label="prior mean")
    ax.set(
        title=rf"$\lambda$ = {lam:g}", xlabel="temperature, ppm per sd", aspect="equal", xlim=(-4, 7), ylim=(-6.5, 4.5)
    )
axes[0].set_ylabel("humidity, ppm per sd")
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
plt.show()

# %% [markdown]
# Grey: contours of squared error. Orange: circles of equal penalty, which are contours of the prior. The solution is
# where a contour of one touches a contour of the other (the heavier lines). As lambda grows it slides along the blue
# path to zero.
#
# ## The same thing as a posterior
#
# Take sigma = 2 ppm and choose tau so that $\sigma^2/\tau^2 = 10$. Multiply the likelihood by the prior.

# %% tags=["hide-input"]
sigma, lam = 2.0, 10.0
tau = sigma / np.sqrt(lam)
log_likelihood = -0.5 * rss / sigma**2
log_prior = -0.5 * (b1**2 + b2**2) / tau**2
panels = {"likelihood": log_likelihood, "prior": log_prior, "posterior": log_likelihood + log_prior}

fig, axes = plt.subplots(1, 3, figsize=(11, 4.0), sharex=True, sharey=True, layout="constrained")
for ax, (name, log_density) in zip(axes, panels.items(), strict=True):
    ax.contourf(b1, b2, np.exp(log_density - log_density.max()), np.linspace(0.01, 1, 12), cmap="Blues")
    ax.plot(
        *standardized_coefficients(spectrum, lam),
        "x",
        color=ORANGE,
        ms=9,
        mew=2,
        label=r"ridge at $\lambda = \sigma^2/\tau^2$",
    )
    ax.set(title=name, xlabel="temperature, ppm per sd", aspect="equal", xlim=(-4, 7), ylim=(-6.5, 4.5))
axes[0].set_ylabel("humidity, ppm per sd")
axes[2].legend(loc="lower right", frameon=False, fontsize=9)
plt.show()

# %% [markdown]
# The cross, computed by the ridge formula, sits on the posterior's peak. But the posterior also has a *width*: that
# is what the penalty alone never told.
#
# ## Three ways to one number
#
# PyMC maximises the model as written, scipy maximises the log posterior, and the formula is the formula. All ten
# columns of the diabetes table:

# %%
X10, y10 = load_xy("diabetes")
full = build_design(X10.to_numpy(dtype=float), y10.to_numpy(), names=list(X10.columns), target_name="progression")
ways = map_three_ways(full, factorize(full), sigma=54.0, tau=15.0)
ways.drop(columns="seconds").T.style.format("{:.6g}")

# %% [markdown]
# ## What lambda does to coefficients
#
# Left: 0.01, hardly any penalty. Right: all zero. The coefficients of s1 and s2 (correlated at 0.90) are large with
# opposite signs until the penalty tells them that this is unlikely.

# %% tags=["hide-input"]
grid = np.geomspace(1e-2, 1e5, 300)
trace = ridge_path(full, factorize(full), grid).coef * full.scale
fig, ax = plt.subplots(figsize=(8, 4.2), layout="constrained")
for name, values in zip(full.names, trace.T, strict=True):
    strong = name in ("s1", "s2", "bmi", "s5")
    ax.plot(
        grid,
        values,
        color={"s1": ORANGE, "s2": BLUE, "bmi": GREEN, "s5": "#cc79a7"}.get(name, "0.8"),
        lw=2 if strong else 1,
    )
    if strong:
        ax.annotate(
            name,
            (grid[0], values[0]),
            xytext=(-6, {"bmi": 4, "s2": -5}.get(name, 0)),
            textcoords="offset points",
            ha="right",
            va="center",
        )
ax.axhline(0, color="0.3", lw=0.6)
ax.set(xscale="log", xlim=(3e-3, 1e5), xlabel=r"$\lambda$", ylabel="coefficient, score per sd of the column")
plt.show()

# %% [markdown]
# ## Held to account

# %%
both = map_estimate(design, spectrum, sigma, tau)
point = BayesRidge(method="fixed", prior=FixedScales(sigma, tau)).fit(pair, y)
peak = np.unravel_index(np.argmax(panels["posterior"]), b1.shape)

assert both.difference < 1e-10  # a generic optimiser finds the ridge solution
assert np.allclose(point.coef_, both.ridge_coef, rtol=1e-10)  # and so does the posterior mean
assert np.hypot(b1[peak] - both.ridge_coef[0] * design.scale[0], b2[peak] - both.ridge_coef[1] * design.scale[1]) < 0.06
assert (ways["difference"] < 1e-8).all()
print(f"MAP and ridge differ by {both.difference:.0e} at most")

# %% [markdown]
# ## To try
#
# Set `tau` in the second picture to half of what it is. By which factor does lambda change, and which way does the
# cross move? Say it before you run it; then check with `standardized_coefficients(spectrum, sigma**2 / tau**2)`.
#
# **To remember:** the ridge solution is the top of a posterior, and lambda is noise variance over prior variance.
