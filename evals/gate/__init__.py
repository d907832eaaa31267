"""The release gate: from an evaluation and a policy to a verdict with its reasons, and a signed release."""
