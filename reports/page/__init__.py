"""Report page: HTML, Markdown, CSV and JSON."""
