"""What a model must not say, and whether it does: probes, detectors and the measures of rare events."""
