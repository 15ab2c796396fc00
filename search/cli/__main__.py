"""Module entry point: `python -m search.cli` is `assay`."""

from assay import main

main()
