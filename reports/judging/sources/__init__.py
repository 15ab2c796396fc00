"""Sources of runs: each module reads one kind into a run table; `recognise` decides which."""
