"""Engine: trains one run, epoch by epoch."""
