"""Doctor: examines the installation, devices, Ray, the tracking store and the data cache."""
