"""The same posteriors by Markov chain Monte Carlo."""
