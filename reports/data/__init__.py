"""Data: frames, descriptions and completeness of a study, read from its journal."""
