"""Many training runs: study file, plan, journal, launch, export and the command line."""
