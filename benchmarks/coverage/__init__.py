"""Do 95% intervals cover 95%, and what does a choice of lambda cost? ``python -m benchmarks.coverage``."""
