"""Every metric once: overlap, surfaces, classification, reports with intervals, and the gate for new models."""
