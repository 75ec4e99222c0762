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
# # 09 Shops and districts
#
# **Guess first.** A shop with two days on record sold 40 above the average of its chain, one with thirty days sold 25
# above. Which of the two would you expect to sell more next month?
#
# Thirty shops in six districts, some with two days on record and some with thirty. The truth is known.

# %% tags=["hide-input"]
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from bayesridge import BayesRidge

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "0.55"

# %%
rng = np.random.default_rng(9)
days = np.tile([2, 3, 4, 8, 30], 6)
district = rng.normal(0.0, 12.0, 6)
shop = rng.normal(0.0, 15.0, 30)
code = np.repeat(np.arange(30), days)
sales = pd.DataFrame({"shop": [f"s{k:02d}" for k in code], "district": [f"d{k // 5}" for k in code]})
sales["price"] = rng.standard_normal(len(sales)).round(3)
truth = 200.0 + district[np.arange(30) // 5] + shop
sales["sold"] = (truth[code] - 8.0 * sales.price + rng.normal(0.0, 30.0, len(sales))).round(2)
sales.shape

# %% [markdown]
# ## Three answers to one question
#
# *No pooling*: each shop by itself. *Complete pooling*: all shops are alike. *Partial pooling*: effects of shops come
# from one distribution whose spread is learned, and so do those of districts.

# %%
fit = BayesRidge(formula="sold ~ price + (1 | district) + (1 | district:shop)").fit(sales)
fit

# %%
names = [f"d{k // 5}:s{k:02d}" for k in range(30)]
at = pd.DataFrame({"price": 0.0, "district": [one[:2] for one in names], "shop": [one[3:] for one in names]})
partial = fit.predictive(at).expected
alone = (sales.sold + 8.0 * sales.price).groupby(sales.shop).mean().to_numpy()
together = (sales.sold + 8.0 * sales.price).mean()

# %% tags=["hide-input"]
order = np.argsort(np.tile([2, 3, 4, 8, 30], 6), kind="stable")
fig, ax = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
place = np.arange(30)
low, high = partial.interval(0.95)[order].T
ax.vlines(place, low, high, color=BLUE, lw=2.4, alpha=0.45)
ax.plot(place, partial.mean[order], "o", color=BLUE, ms=5, label="partial pooling, 95% ETI")
ax.plot(place, alone[order], "x", color=ORANGE, ms=6, label="no pooling")
ax.plot(place, truth[order], "_", color="black", ms=9, label="truth")
ax.axhline(together, color=GREY, ls="--", lw=1.0, label="complete pooling")
ax.set_xticks([2.5, 8.5, 14.5, 20.5, 26.5], ["2 days", "3 days", "4 days", "8 days", "30 days"])
ax.set_ylabel("expected sales at price 0")
ax.set_title("What two days say, and what thirty say")
ax.legend(ncol=4, fontsize=7.5, loc="upper center", bbox_to_anchor=(0.5, -0.1), frameon=False)
plt.show()

# %% [markdown]
# A shop with two days is drawn far towards the others of its district, one with thirty hardly moves. Nobody chose how
# far: it follows from the spreads, which were learned.

# %%
error = pd.Series(
    {
        "no pooling": np.sqrt(np.mean((alone - truth) ** 2)),
        "complete pooling": np.sqrt(np.mean((together - truth) ** 2)),
        "partial pooling": np.sqrt(np.mean((partial.mean - truth) ** 2)),
    }
)
error.round(1)

# %% [markdown]
# ## Beside lme4
#
# R's `lmer(sold ~ price + (1 | district) + (1 | district:shop))` maximises the REML criterion. So does
# `method="evidence"`: the same estimates. The posterior says how well the spreads are known, which with six districts
# is: not very.

# %%
reml = BayesRidge(formula="sold ~ price + (1 | district) + (1 | district:shop)", method="evidence").fit(sales)
lme4 = [966.7170358 / 167.1511165, 966.7170358 / 186.0124412, 2760.34369463]
ours = [*reml.lambda_, reml.posterior_.reml_criterion]
rows = ["lambda[district] = sigma²/tau²", "lambda[district:shop]", "REML criterion"]
pd.DataFrame({"lme4": lme4, "method='evidence'": ours}, index=rows).round(4)

# %%
fit.hyper_summary().loc[["tau[district]", "tau[district:shop]", "sigma"]].iloc[:, :3].round(1)

# %% [markdown]
# ## A shop that opens tomorrow
#
# In a known district, and in a new one. A warning says which rows are of new levels; here it is silenced.

# %%
new = pd.DataFrame({"price": 0.0, "district": ["d0", "d0", "d9"], "shop": ["s04", "s99", "s99"]})
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    opened = fit.predictive(new).expected
pd.DataFrame({"mean": opened.mean, "sd": opened.sd}, index=["known shop", "new shop", "new district"]).round(1)

# %% [markdown]
# **Exercise.** Leave the districts out, `(1 | shop)` alone. What happens to the spread of shops, and to the prediction
# of a new shop in `d0`?
#
# **To remember:** how far a shop is drawn to the others depends on its days and on how much shops differ, and the data
# say both.

# %%
assert error["partial pooling"] < min(error["no pooling"], error["complete pooling"])
inside = (partial.interval(0.95)[:, 0] < truth) & (truth < partial.interval(0.95)[:, 1])
assert inside.mean() > 0.8
np.testing.assert_allclose(ours, lme4, rtol=1e-4)
assert opened.sd[0] < opened.sd[1] < opened.sd[2]
