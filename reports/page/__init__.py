"""Report page: builds the sections of a study's report and writes them as HTML, Markdown, CSV and JSON."""
