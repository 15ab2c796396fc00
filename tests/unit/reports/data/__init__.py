"""Tests of reports/data."""
