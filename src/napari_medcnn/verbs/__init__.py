"""What the product does: one file per verb, each a generator of events that window, terminal and library share."""
