"""Dataset to adapter to merged weights."""
