"""The atlas: when each method helps on real data, as archived studies, pictures and a page."""
