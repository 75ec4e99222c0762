"""Pictures of a fit: each function takes a posterior or a fitted estimator and returns matplotlib axes."""
