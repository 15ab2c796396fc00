"""Model card: a Markdown page with figures about trained models."""
