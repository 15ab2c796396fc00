"""Inference: verdicts of all contrasts with their caveats, moderation and factorial effects, and their wording."""
