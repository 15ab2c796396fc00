"""Tests of `trainables.worker`."""
