"""The posterior of the scales: nodes, quadrature, evidence."""
