"""One file per verb, each a generator of events that windows, command line and library consume alike."""
