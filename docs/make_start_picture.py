"""The picture of the start page, for light and dark: ``python docs/make_start_picture.py``."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from bayesridge import BayesRidge
from bayesridge.datasets import load_xy
from bayesridge.linalg.filters import ridge_path

FOLDER = Path(__file__).resolve().parent / "_static"
STRONG = {"s1": "#d55e00", "s2": "#56b4e9", "bmi": "#009e73", "s5": "#cc79a7"}
#: Where two names would overlap: points up or down.
NUDGE = {"bmi": 5, "s2": -5}


def draw(ink: str, weak: str, file: Path) -> None:
    """Draw coefficients over lambda, and below them how plausible each lambda is."""
    X, y = load_xy("diabetes")
    posterior = BayesRidge().fit(X, y).posterior_
    design = posterior.design
    grid = np.geomspace(0.1, 3000, 400)
    trace = ridge_path(design, posterior.spectrum, grid).coef * design.scale
    low, high = posterior.lambda_.interval(0.95)
    colors = {"axes.labelcolor": ink, "xtick.color": ink, "ytick.color": ink, "axes.edgecolor": ink, "text.color": ink}
    with mpl.rc_context({**colors, "axes.spines.top": False, "axes.spines.right": False, "font.size": 11}):
        fig, (top, bottom) = plt.subplots(
            2, 1, figsize=(8, 5), sharex=True, height_ratios=[3, 1.1], layout="constrained"
        )
        for name, values in zip(design.names, trace.T, strict=True):
            top.plot(grid, values, color=STRONG.get(name, weak), lw=2 if name in STRONG else 1)
            if name in STRONG:
                top.annotate(
                    name, (grid[0], values[0]), xytext=(-5, NUDGE.get(name, 0)), textcoords="offset points",
                    ha="right", va="center", color=STRONG[name],
                )  # fmt: skip
        for ax in (top, bottom):
            ax.axvspan(low, high, color="#0072b2", alpha=0.18, lw=0)
        top.axhline(0, color=ink, lw=0.6)
        top.set(ylabel="coefficient, score per sd", xlim=(0.055, 3000))
        density = np.exp(posterior.lambda_.log_pdf_log(np.log(grid)))
        bottom.fill_between(grid, density, color="#0072b2", alpha=0.6, lw=0)
        bottom.set(
            xscale="log",
            xlabel=r"penalty $\lambda$ (log scale)",
            ylabel="posterior\ndensity",
            yticks=[],
            ylim=(0, None),
        )
        bottom.annotate(
            f"median {posterior.lambda_.median:.1f}, 95% ETI {low:.1f} to {high:.1f}", (high, 0.6 * density.max()),
            xytext=(8, 0), textcoords="offset points", va="center",
        )  # fmt: skip
        fig.savefig(file, dpi=150, transparent=True, metadata={"Software": None})
        plt.close(fig)


if __name__ == "__main__":
    draw("#222222", "0.78", FOLDER / "start-light.png")
    draw("#e6e6e6", "0.4", FOLDER / "start-dark.png")
