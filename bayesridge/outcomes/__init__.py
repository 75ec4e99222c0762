"""Outcomes that are no Gaussian numbers: counts, successes of trials."""
