"""Model card of a final training."""
