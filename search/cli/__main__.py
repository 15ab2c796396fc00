"""Module entry point: `python -m search.cli` is `assay`."""

from search.cli import main

main()
