"""Tests of `trainables.backends`."""
