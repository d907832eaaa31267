"""Run the stages one after another, each in its own process, through artefacts on disk."""
