"""PyMC models, one a file: the readable specification of what the fast engine computes.

Each module has one function that takes arrays and returns a ``pymc.Model``. Import them as ``bayesridge.models``,
never relatively or as ``models``.
"""
