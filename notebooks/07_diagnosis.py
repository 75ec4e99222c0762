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
# # 07 Diagnosis
#
# **Guess first.** 569 tumours, 30 measurements of each under the microscope, benign or malignant. Logistic regression
# without a penalty is fitted to 400 of them and says of the others how probable it is that each is malignant. How
# often is it *more than 99.9% sure*, and how often is it then wrong? Write two numbers down.
#
# With 30 columns a plane divides the tumours of the table without an error: they are *separated*. The likelihood then
# grows without end as the coefficients do, and maximum likelihood is certain of everything.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bayesridge import BayesRidgeClassifier, compare_lambda

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %% [markdown]
# ## Some to learn from, the others to be wrong about

# %%
X, y = load_breast_cancer(as_frame=True, return_X_y=True)
state = np.where(y == 0, "malignant", "benign")
known = np.random.default_rng(3).permutation(len(y)) < 400
Z = StandardScaler().fit(X[known]).transform(X)


def surprise(chance):
    """Mean negative log probability of what the held-out tumours turned out to be."""
    said = np.where(state[~known] == "malignant", chance, 1 - chance)
    return -np.log(np.maximum(said, 1e-300)).mean()


lam = np.geomspace(1e-6, 1e3, 28)
point = [
    LogisticRegression(C=1 / one, solver="newton-cholesky", max_iter=500).fit(Z[known], state[known] == "malignant")
    for one in lam
]
path = np.array([surprise(fit.predict_proba(Z[~known])[:, 1]) for fit in point])

# %% [markdown]
# `C = 1 / lambda` is one number that somebody has to choose. The posterior needs no choice:

# %%
clf = BayesRidgeClassifier().fit(X[known], state[known])
post = clf.posterior_
print(post.how)
for sentence in post.check:
    print("-", sentence[:150])
low, high = post.lambda_.interval(0.95)
print(f"lambda {post.lambda_.median:.2f}, 95% ETI {low:.2f} to {high:.2f}")

# %% tags=["hide-input"]
chance = clf.predict_proba(X[~known])[:, 1]
rules = compare_lambda(post, rules=["evidence", "aic", "bic", "cv10_log"])
fig, ax = plt.subplots(figsize=(8.5, 4.2), layout="constrained")
ax.plot(lam, path, color=ORANGE, label="penalised fit with one C")
ax.axhline(surprise(chance), color=BLUE, label="posterior, lambda integrated")
ax.axvspan(low, high, color=BLUE, alpha=0.15, lw=0, label="lambda, 95% ETI")
for k, row in enumerate(rules.rows[1:]):
    if row.available and row.lam > 0:
        ax.annotate(
            f"{row.label.split(',')[0]}\n{row.lam:.2g}",
            (row.lam, np.interp(np.log(row.lam), np.log(lam), path)),
            xytext=(0, [62, 40, 62, 120][k]),
            textcoords="offset points",
            ha="center",
            fontsize=8,
            arrowprops={"arrowstyle": "-", "color": GREY},
        )
ax.set(xscale="log", yscale="log", xlabel=r"$\lambda = 1/C$", ylabel="surprise by held-out tumours (nats each)")
ax.legend(loc="lower left", bbox_to_anchor=(0.0, 0.12))
plt.show()

# %% [markdown]
# Each rule gives one lambda, and they differ by orders of magnitude: where the classes are separated, AIC has nothing
# to hold on to. The posterior averages over a decade of lambda and is about as good as the best C that hindsight can
# find.
#
# ## How sure may a diagnosis be?
#
# The same held-out tumours: what the nearly unpenalised fit says of each, and what the posterior says, with the 95%
# interval of the probability.

# %%
nearly = point[0].predict_proba(Z[~known])[:, 1]
ill = state[~known] == "malignant"
ends = clf.predict_interval(X[~known])


def sure(chance):
    """Tumours whose diagnosis is more than 99.9% sure, and those of them that are wrong."""
    certain = np.maximum(chance, 1 - chance) > 0.999
    return int(certain.sum()), int((certain & ((chance > 0.5) != ill)).sum())


for name, found in (("without a penalty", nearly), ("posterior", chance)):
    print(f"{name}: more than 99.9% sure of {sure(found)[0]} of {len(ill)}, of which wrong: {sure(found)[1]}")

# %% tags=["hide-input"]
order = np.argsort(chance)
fig, ax = plt.subplots(figsize=(8.5, 3.8), layout="constrained")
at = np.arange(len(order))
ax.fill_between(at, ends[order, 0], ends[order, 1], color=BLUE, alpha=0.25, lw=0, label="posterior, 95% ETI")
ax.plot(at, chance[order], color=BLUE, label="posterior mean")
ax.plot(at, nearly[order], ".", ms=3, color=ORANGE, label="without a penalty")
ax.plot(at[ill[order]], np.full(ill.sum(), 1.06), "|", ms=6, color=GREY)
ax.plot(at[~ill[order]], np.full((~ill).sum(), -0.06), "|", ms=6, color=GREY)
ax.set(xlabel="held-out tumours, by posterior probability (strokes: what they were)", ylabel="P(malignant)")
ax.legend(loc="center left")
plt.show()

# %% [markdown]
# The unpenalised fit knows two answers, 0 and 1. The posterior says of some tumours that it does not know: those are
# the ones to look at again.

# %%
few, wrong = sure(chance)
many, wrong_then = sure(nearly)
assert any("separated" in sentence for sentence in post.check)
assert many > 0.9 * len(ill)  # certain of nearly all
assert wrong_then >= 2  # and wrong of some
assert wrong <= 1
assert surprise(nearly) > 5 * surprise(chance)
assert surprise(chance) < 1.25 * path.min()  # about as good as the best C, which nobody knew

# %% [markdown]
# ## To try
#
# Learn from 100 tumours instead of 400. What happens to the interval of lambda, and to the number of tumours of which
# the posterior is 99.9% sure?
#
# **To remember:** where a plane separates the classes, maximum likelihood is certain of everything; a posterior is as
# certain as its tumours.
