"""Checks of the answer: calibration in simulation, and on the data at hand."""
