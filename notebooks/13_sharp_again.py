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
# # 13 Sharp again
#
# **Guess first.** A signal of 64 numbers is seen through a blur that is known exactly, with 1% of noise. 64 equations,
# 64 unknowns, a matrix that has an inverse: solve them. By how much is the answer off: 1%, 100%, or a hundred times
# its own size?
#
# Undoing a blur, finding what lies underground from gravity, and drawing a curve through points are one problem, and
# ridge's lambda is in all of them.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_image

from bayesridge import BayesKernelRidge
from bayesridge.inverse import deblur, filter_path, inverse_problem, tikhonov
from bayesridge.linalg.filters import filter_factors, residual_squares, ridge_path
from bayesridge.rules.catalogue import make_rule
from bayesridge.rules.problem import problem_of

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "0.55"

# %%
problem = inverse_problem("blur", 64)
y = problem.data(noise=0.01, random_state=0)
sigma = 0.01 * np.sqrt(np.mean(problem.exact**2))
naive = np.linalg.solve(problem.A, y)
print(f"relative error of the exact solution: {problem.relative_error(naive):.0f}")

# %% tags=["hide-input"]
fig, (left, right) = plt.subplots(1, 2, figsize=(9.0, 2.9), layout="constrained")
left.plot(problem.t, problem.x, color=GREEN, lw=2.0, label="the signal")
left.plot(problem.t, y, ".", color=GREY, label="what is seen")
left.legend(fontsize=8)
right.plot(problem.t, naive, color=ORANGE, lw=1.0)
right.set_title("the solution of A x = y", fontsize=9)
plt.show()

# %% [markdown]
# The blur takes fine detail away: it multiplies it by singular values down to 1e-5. The solution divides by them, the
# noise too.
#
# ## Three leashes
#
# Each keeps a share of every direction. Truncated SVD keeps the first k whole. Tikhonov's ridge fades them out. A
# penalty on *differences* of the signal is the same ridge with other directions: those that rise and fall least are
# kept longest, and a constant is not held at all.

# %%
flat, steps = tikhonov(problem.A, y, "identity"), tikhonov(problem.A, y, "first differences")
cut = filter_path(flat, "truncated")
k = cut.choose("discrepancy", sigma)
answers = {
    f"truncated SVD, k = {cut.parameter[k]:.0f}": cut.coefficients[k],
    "Tikhonov, |x|²": flat.coefficients.mean,
    "Tikhonov, |differences of x|²": steps.coefficients.mean,
}
errors = {name: problem.relative_error(x) for name, x in answers.items()}
for name, error in errors.items():
    print(f"{name:32} relative error {error:.2f}")

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 4, figsize=(11.0, 2.9), layout="constrained")
f = filter_factors(flat.spectrum, flat.lambda_.median)
axes[0].plot(cut.factors[k], color=ORANGE, drawstyle="steps-mid", label="truncated SVD")
axes[0].plot(f, color=BLUE, label="Tikhonov")
axes[0].set_xlabel("direction")
axes[0].set_title("share kept", fontsize=9)
axes[0].legend(fontsize=8)
for ax, (name, x), post in zip(axes[1:], answers.items(), (None, flat, steps), strict=True):
    ax.plot(problem.t, problem.x, color=GREEN, lw=1.2)
    ax.plot(problem.t, x, color=BLUE if post else ORANGE, lw=1.5)
    if post:
        ax.fill_between(problem.t, *post.coefficients.interval().T, color=BLUE, alpha=0.25, lw=0)
    ax.set_ylim(-0.6, 1.6)
    ax.set_title(f"{name}: {errors[name]:.2f}", fontsize=9)
plt.show()

# %% [markdown]
# The bands are 95% intervals with lambda and sigma integrated. Truncation has none: it does not say what it left out.
#
# ## Which lambda
#
# Five answers on one axis. The *discrepancy principle* has to be told sigma: lambda is right when the residual is as
# large as the noise. The *L-curve* takes the corner where the residual starts to grow. *GCV* leaves rows out. The
# *evidence* is the probability of the data, and the *posterior* the same with a prior, as a distribution.

# %%
chosen = {
    "discrepancy": make_rule("discrepancy", sigma=sigma), "L-curve": make_rule("l_curve"), "GCV": make_rule("gcv"),
    "evidence": make_rule("reml"),
}  # fmt: skip
chosen = {name: rule.choose(problem_of(steps)).lam for name, rule in chosen.items()}
chosen["posterior"] = steps.lambda_.median
grid = np.geomspace(min(chosen.values()) / 300, max(chosen.values()) * 300, 200)
path = ridge_path(steps.design, steps.spectrum, grid).coef
off = np.array([problem.relative_error(x) for x in path])
best = grid[off.argmin()]

# %% tags=["hide-input"]
fig, (curve, axis) = plt.subplots(1, 2, figsize=(10.0, 3.8), layout="constrained", width_ratios=[1, 1.6])
rise, length = np.sqrt(residual_squares(steps.spectrum, grid)), np.linalg.norm(np.diff(path, axis=1), axis=1)
curve.loglog(rise, length, color=GREY)
for name, mark in zip(chosen, "osD^v", strict=True):
    at = np.abs(np.log(grid / chosen[name])).argmin()
    curve.plot(rise[at], length[at], mark, ms=7, mfc="none", color=BLUE, label=name)
curve.set_xlabel("|y - A x|")
curve.set_ylabel("|differences of x|")
curve.legend(fontsize=8)
curve.tick_params(which="minor", labelbottom=False, labelleft=False)
axis.semilogx(grid, off, color=GREY)
axis.set_ylim(0.0, 0.8)
low, high = steps.lambda_.interval()
axis.axvspan(low, high, color=BLUE, alpha=0.15, lw=0)
for level, (name, lam) in enumerate(sorted(chosen.items(), key=lambda one: one[1])):  # no line crosses a name
    axis.vlines(lam, 0.0, 0.79 - 0.06 * level, color=BLUE, lw=0.8, ls=":")
    axis.text(lam, 0.79 - 0.06 * level, f" {name}", fontsize=8, va="top")
axis.plot(best, off.min(), "o", color=GREEN)
axis.annotate("best: needs the truth", (best, off.min()), (0, -16), textcoords="offset points", fontsize=8, color=GREEN)
axis.set_xlabel("lambda (band: 95% ETI of the posterior)")
axis.set_ylabel("relative error of x")
plt.show()

# %% [markdown]
# ## The penalty says more than the rule
#
# *shaw* is a classical problem with a smooth unknown. Under the identity penalty the posterior is *worse* than GCV in
# the middle: the prior says that the unknown is noise, and the data do not correct it. What it never does is explode.
# A penalty on differences says what is known of the unknown.

# %%
shaw = inverse_problem("shaw", 64)
rows = {(penalty, who): [] for penalty in ("identity", "first differences") for who in ("posterior", "GCV")}
for seed in range(15):
    data = shaw.data(0.01, seed)
    for penalty in ("identity", "first differences"):
        post = tikhonov(shaw.A, data, penalty)
        lam = make_rule("gcv").choose(problem_of(post)).lam
        rows[penalty, "posterior"].append(shaw.relative_error(post.coefficients.mean))
        rows[penalty, "GCV"].append(
            shaw.relative_error(ridge_path(post.design, post.spectrum, max(lam, 1e-12)).coef[0])
        )
for (penalty, who), found in rows.items():
    print(f"{penalty:18} {who:10} median {np.median(found):.2f}   worst tenth {np.quantile(found, 0.9):8.2f}")

# %% [markdown]
# ## An image
#
# 65,536 unknowns. A blur that is the same everywhere is diagonal in Fourier's basis, so that all of the above, the
# posterior of lambda and the band of every pixel included, takes about a second.

# %%
photo = load_sample_image("china.jpg")[90:346, 200:456].mean(axis=2) / 255.0
bell = np.exp(-0.5 * (np.arange(-10, 11) / 2.5) ** 2)
kernel = np.outer(bell, bell) / bell.sum() ** 2
rng = np.random.default_rng(13)
H = np.fft.fft2(np.roll(np.pad(kernel, (0, 235)), (-10, -10), (0, 1)))
seen = np.fft.ifft2(H * np.fft.fft2(photo)).real + 0.01 * rng.standard_normal(photo.shape)
found = deblur(seen, kernel, "first differences", boundary="periodic")
low, high = found.lambda_.interval()
print(f"lambda {found.lambda_.median:.4f} (95% ETI {low:.4f} to {high:.4f}), sigma {found.sigma.median:.4f}")
before, after = (np.sqrt(np.mean((one - photo) ** 2)) for one in (seen, found.mean))
inverse = np.sqrt(np.mean((np.fft.ifft2(np.fft.fft2(seen) / H).real - photo) ** 2))
print(f"root mean square error: seen {before:.3f}, deblurred {after:.3f}, divided by the blur {inverse:.0e}")
band = found.interval()
held = np.mean((band[..., 0] < photo) & (photo < band[..., 1]))
print(f"pixels whose 95% interval holds the truth: {100 * held:.0f}%")

# %% tags=["hide-input", "photo"]
fig, axes = plt.subplots(1, 3, figsize=(9.6, 3.4), layout="constrained")
for ax, image, title in zip(axes, (photo, seen, found.mean), ("the photo", "what is seen", "sharp again"), strict=True):
    ax.imshow(image, cmap="gray", vmin=0.0, vmax=1.0)
    ax.set_title(title, fontsize=9)
    ax.set_axis_off()
plt.show()

# %% [markdown]
# ## A curve is an image of one axis
#
# Runge's function through 20 noisy points. A polynomial through all of them swings at the ends. A Gaussian process is
# ridge on a kernel's columns: its lambda is noise over amplitude, and its length-scale says how soon the curve may
# turn. Both are integrated here.

# %%
x = np.linspace(-1.0, 1.0, 20)
runge = 1.0 / (1.0 + 25.0 * x**2)
noisy = runge + 0.05 * np.random.default_rng(3).standard_normal(20)
fit = BayesKernelRidge().fit(x[:, None], noisy)
for name, scale in fit.posterior_.scales.items():
    print(f"{name:13} {scale.median:.2g} (95% ETI {scale.interval()[0]:.2g} to {scale.interval()[1]:.2g})")

# %% tags=["hide-input"]
fine = np.linspace(-1.0, 1.0, 201)
drawn = fit.predictive(fine[:, None]).expected
polynomial = np.polynomial.Chebyshev.fit(x, noisy, 19)(fine)
fig, ax = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
ax.plot(fine, polynomial, color=ORANGE, lw=1.0, label="polynomial through all points")
ax.fill_between(fine, *drawn.interval().T, color=BLUE, alpha=0.25, lw=0)
ax.plot(fine, drawn.mean, color=BLUE, lw=2.0, label="kernel ridge, 95% ETI of the curve")
ax.plot(fine, 1.0 / (1.0 + 25.0 * fine**2), color=GREEN, lw=1.2, label="the truth")
ax.plot(x, noisy, ".", color=GREY)
ax.set_ylim(-0.7, 1.5)
ax.legend(fontsize=8, loc="lower center")
plt.show()

# %% [markdown]
# **Exercise.** Repeat the first half with `"second differences"`, and with 10% of noise. Which of the penalties is
# best for the box, and which for the hump? Then deblur the photo with `"identity"`: what happens to its grey sky?
#
# **To remember.** An inverse that divides by small numbers must be told what to expect, and *which differences are
# small* says more than any rule for lambda.

# %%
assert problem.relative_error(naive) > 10.0
assert errors["Tikhonov, |differences of x|²"] < errors["Tikhonov, |x|²"]
assert off.min() <= problem.relative_error(steps.coefficients.mean) < 2.0 * off.min()
assert np.median(rows["first differences", "posterior"]) < np.median(rows["identity", "posterior"])
assert max(rows["identity", "posterior"]) < 1.0
assert after < before < inverse
assert 0.009 < found.sigma.median < 0.011
assert held > 0.9
held_at = drawn.interval()
assert np.mean((held_at[:, 0] < 1 / (1 + 25 * fine**2)) & (1 / (1 + 25 * fine**2) < held_at[:, 1])) > 0.8
