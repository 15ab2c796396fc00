"""Data: a study as data frames, the outcomes of its runs, and what is still missing."""
