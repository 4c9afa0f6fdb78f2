"""Why did the model say that: asking, maps over the scan, and the check that says whether to believe them."""
