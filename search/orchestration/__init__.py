"""Orchestration: which run starts next, when one is stopped, and which points are confirmed."""
