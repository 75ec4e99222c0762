"""Measurements: speed against peers, and what peers get wrong. Not part of the installed package."""
