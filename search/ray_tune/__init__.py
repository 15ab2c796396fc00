"""Ray Tune: executes the runs of a controller on one machine or a cluster."""
