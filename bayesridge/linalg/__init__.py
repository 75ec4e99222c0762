"""Designs, their factorisation, and the algebra of lambda."""
