"""Measuring on the views: tools, what they draw, the table of measures, and what is kept with the scan."""
