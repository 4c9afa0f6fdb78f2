"""Values of the domain: grids, volumes, labels, model cards, options, results.  NumPy only."""
