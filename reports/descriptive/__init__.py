"""Descriptive analyses: curves, costs, responses and checks that support no claim by themselves."""
