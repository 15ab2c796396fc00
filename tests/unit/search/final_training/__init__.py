"""final_training."""
