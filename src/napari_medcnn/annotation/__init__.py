"""History, edits and the journal of a correction."""
