"""Descriptive: results that describe a study and support no claims, such as curves, cost and importances."""
