"""Plan: what a study file leads to, what it costs, what it can find, and what is refused."""
