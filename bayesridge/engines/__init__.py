"""The seam below, and the engines behind it: one penalty, groups, level effects, kernels."""
