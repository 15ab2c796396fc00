"""Tests of `trainables.models`."""
