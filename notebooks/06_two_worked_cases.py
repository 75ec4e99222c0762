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
# # 06 Two worked cases
#
# **Guess first.** In a cabinet where humidity falls as temperature rises, the error of a sensor is measured. Is it
# known better for "10 °C warmer", or for "10 °C warmer and 19 points drier"?
#
# A sensor with correlated temperature and humidity; house prices with area and bathrooms. In both the truth is known.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.linear_model import Ridge

from bayesridge import BayesRidge
from bayesridge.data.make_sensor import COEFFICIENTS
from bayesridge.datasets import load_xy
from bayesridge.linalg.filters import ridge_path

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## The sensor
#
# How wrong is a low-cost CO₂ sensor, given the conditions? In the cabinet humidity falls as temperature rises.

# %% tags=["hide-input"]
X, y = load_xy("sensor")
fig, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.4), layout="constrained")
left.scatter(X.temperature, X.humidity, s=12, color=BLUE)
left.set(xlabel="temperature, °C", ylabel="humidity, %", title=f"r = {X.temperature.corr(X.humidity):.2f}")
right.scatter(X.temperature, y, s=12, color=BLUE)
right.set(xlabel="temperature, °C", ylabel="error, ppm", title="temperature, or humidity?")
plt.show()

# %%
fit = BayesRidge().fit(X, y)
ols = BayesRidge(method="fixed", lam=0.0).fit(X, y)
print(fit)

# %% [markdown]
# Each coefficient per standard deviation of its column, so that they share an axis; 95% ETI.

# %% tags=["hide-input"]
truth = np.array(list(COEFFICIENTS.values()))
scale = fit.posterior_.design.scale
fig, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
for shift, (name, one, color, marker) in zip(
    [-0.13, 0.13], [("least squares", ols, GREY, "s"), ("ridge, lambda integrated", fit, BLUE, "o")], strict=True
):
    middle, ends = one.coef_ * scale, one.posterior_.coefficients.interval(0.95) * scale[:, None]
    ax.errorbar(
        middle,
        np.arange(5) + shift,
        xerr=np.abs(ends - middle[:, None]).T,
        fmt=marker,
        color=color,
        capsize=2,
        label=name,
    )
ax.plot(truth * scale, range(5), "|", color=ORANGE, ms=22, mew=2, label="truth")
ax.axvline(0, color="0.3", lw=0.6)
ax.set(yticks=range(5), yticklabels=X.columns, xlabel="coefficient, ppm per sd of the column")
ax.invert_yaxis()
ax.legend(frameon=False, fontsize=9)
plt.show()

# %% [markdown]
# Temperature and humidity are each uncertain, their combination is not. The cabinet only ever moved along one line,
# and along it the error is known to a quarter of a ppm:

# %%
names = ("10 °C warmer", "19 points drier", "both, as in the cabinet")
effects = fit.posterior_.contrast([[10, 0, 0, 0, 0], [0, -19, 0, 0, 0], [10, -19, 0, 0, 0]], labels=names)
pd.DataFrame({"mean, ppm": effects.mean, "sd": effects.sd, "truth": [3.0, 1.9, 4.9]}, index=names).round(2)

# %% [markdown]
# So in the cabinet the calibration is good. Outside it, warm *and* humid, it is a guess, and says so:

# %%
usual = X.mean().to_frame().T
places = pd.concat([usual, usual, usual], ignore_index=True)
places.loc[1, ["temperature", "humidity"]] = [35.0, 44.0]  # as the cabinet when warm
places.loc[2, ["temperature", "humidity"]] = [35.0, 90.0]  # never seen
predicted = fit.predictive(places)
table = pd.DataFrame(
    {"expected error, ppm": predicted.mean, "sd of that": predicted.mean_sd, "sd of a reading": predicted.sd},
    index=["average", "warm and dry (seen)", "warm and humid (not seen)"],
).round(2)
table

# %% [markdown]
# ## The houses
#
# Price, in thousands: 50 + 2 per square metre + 15 per bathroom, noise 40. Large houses have more bathrooms.

# %%
rng = np.random.default_rng(4)


def houses(rng, rows=25):
    area = rng.normal(140, 35, rows).clip(50)
    bathrooms = np.maximum(1, np.round(area / 60 + rng.normal(0, 0.35, rows)))
    price = 50 + 2 * area + 15 * bathrooms + rng.normal(0, 40, rows)
    return pd.DataFrame({"area": area, "bathrooms": bathrooms}), price


# %% [markdown]
# ### Signs
#
# Twenty-five houses, five hundred times. How often does the estimate say that a bathroom *lowers* the price?

# %% tags=["hide-input"]
found = {"least squares": [], "ridge, lambda integrated": []}
for _ in range(500):
    H, price = houses(rng)
    found["least squares"].append(BayesRidge(method="fixed", lam=0.0).fit(H, price).coef_)
    found["ridge, lambda integrated"].append(BayesRidge().fit(H, price).coef_)
found = {name: np.array(values) for name, values in found.items()}
wrong = {name: (values[:, 1] < 0).mean() for name, values in found.items()}

fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.6), sharex=True, sharey=True, layout="constrained")
for ax, (name, values), color in zip(axes, found.items(), [GREY, BLUE], strict=True):
    ax.scatter(values[:, 0], values[:, 1], s=7, color=color, alpha=0.6)
    ax.plot(2, 15, "+", color=ORANGE, ms=14, mew=2)
    ax.axhline(0, color="0.3", lw=0.6)
    ax.set(title=f"{name}: {100 * wrong[name]:.0f}% wrong sign", xlabel="thousand per m²")
axes[0].set_ylabel("thousand per bathroom")
plt.show()

# %% [markdown]
# The cross is the truth. Ridge's cloud is smaller, and lies nearer to "a bathroom is worth something": it spreads the
# common effect over both columns. That is its bias, and here it helps.
#
# ### What lambda does

# %% tags=["hide-input"]
H, price = houses(np.random.default_rng(8))
fit = BayesRidge().fit(H, price)
design, spectrum = fit.posterior_.design, fit.posterior_.spectrum
grid = np.geomspace(1e-2, 1e3, 200)
path = ridge_path(design, spectrum, grid).coef * design.scale
fig, (top, bottom) = plt.subplots(2, 1, figsize=(8, 5), sharex=True, height_ratios=[3, 1], layout="constrained")
top.plot(grid, path[:, 0], color=BLUE, label="area")
top.plot(grid, path[:, 1], color=GREEN, ls="--", label="bathrooms")
top.axhline(0, color="0.3", lw=0.6)
top.set(ylabel="coefficient, thousand per sd")
top.legend(frameon=False)
bottom.fill_between(grid, np.exp(fit.posterior_.lambda_.log_pdf_log(np.log(grid))), color=ORANGE, alpha=0.4)
bottom.set(xscale="log", xlabel=r"$\lambda$", ylabel="posterior\ndensity", yticks=[], ylim=(0, None))
plt.show()

# %% [markdown]
# Below, how plausible each lambda is. The estimate is an average of the curves with these weights.
#
# ### Why scale matters
#
# The same houses with area in square feet or square metres or hectares, and `Ridge(alpha=10)` on the columns as they
# are:

# %%
units = {"square feet": 10.7639, "square metres": 1.0, "hectares": 1e-4}
rows = {}
for unit, factor in units.items():
    changed = H.assign(area=H["area"] * factor)
    plain = Ridge(alpha=10.0).fit(changed, price)
    ours = BayesRidge().fit(changed, price)
    rows[unit] = [*(plain.coef_ * [factor, 1.0]), *(ours.coef_ * [factor, 1.0])]
columns = ["Ridge: per m²", "Ridge: per bathroom", "bayesridge: per m²", "bayesridge: per bathroom"]
scales = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
scales.round(3)

# %% [markdown]
# A penalty adds the squares of coefficients, and they have units. In hectares the coefficient of area is huge, so it
# is penalised away, and bathrooms take over. On scaled columns the answer is one.

# %%
assert all(
    low <= b <= high
    for b, (low, high) in zip(
        COEFFICIENTS.values(), BayesRidge().fit(X, y).posterior_.coefficients.interval(0.95), strict=True
    )
)
assert effects.sd[2] < 0.4 * effects.sd[:2].min()
assert table.loc["warm and humid (not seen)", "sd of that"] > 2 * table.loc["warm and dry (seen)", "sd of that"]
assert wrong["ridge, lambda integrated"] < wrong["least squares"]
assert np.ptp(scales["Ridge: per m²"]) > 1.0
assert np.ptp(scales["bayesridge: per m²"]) < 1e-9

# %% [markdown]
# ## To try
#
# Draw the second coefficient of `houses` with 100 rows instead of 25. How often is its sign wrong now, under least
# squares and under ridge?
#
# **To remember:** correlated columns hide who did it, not what was done; ask for contrasts and predictions.
