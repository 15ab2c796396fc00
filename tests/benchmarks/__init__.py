"""What training costs, beside the usual way of doing the same: `python -m tests.benchmarks NAME`."""
