"""What is known after seeing the data: posteriors and quantities, draws, leave-one-out, tables."""
