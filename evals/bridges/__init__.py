"""To and from other harnesses: logs for Inspect's viewer, and lm-eval's tasks as evaluations of ours."""
