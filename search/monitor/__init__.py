"""Monitoring: progress, status, messages and interrupts."""
