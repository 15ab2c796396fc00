"""Plotly figures of the report, as plain dictionaries that the page embeds as JSON."""
