"""A second series on screen: one at a time, fused over the first, or side by side; never across patients unnoticed."""
