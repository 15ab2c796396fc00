"""Figures: Plotly figures from finished numbers."""
