"""From base and tuned model to evidence: accuracy, stability, a report, and a signed release decision."""
