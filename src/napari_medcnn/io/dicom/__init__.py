"""DICOM: headers, series gate, pixels, segmentations, contours; nothing is guessed, everything odd is said."""
