"""Ray Tune: launches the runs of a controller on one machine or a cluster."""
