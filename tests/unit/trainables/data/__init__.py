"""Tests of `trainables.data`."""
