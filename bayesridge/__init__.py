"""Bayesian ridge regression with the exact posterior, lambda included."""

__version__ = "0.1.0"
