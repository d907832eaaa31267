"""A model as judge, calibrated against people: advisory beside rules that can be computed, never a verdict alone."""
