"""Tests of reports/inference."""
