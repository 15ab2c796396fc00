"""Judging of runs that Assay did not launch: sources, a normalised table, the same verdicts, and their report."""
