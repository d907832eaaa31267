"""The engines as the gateway sees them: weights, health, retry before the first byte."""
