"""Inference: contrasts, verdicts, caveats, and where and why effects change."""
