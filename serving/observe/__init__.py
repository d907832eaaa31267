"""What operators see: metrics, traces and logs, none of them with text."""
