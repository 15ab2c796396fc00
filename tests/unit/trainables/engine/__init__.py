"""Tests of `trainables.engine`."""
