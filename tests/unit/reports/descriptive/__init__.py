"""Tests of reports/descriptive."""
