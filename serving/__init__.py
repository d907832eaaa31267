"""The guarded OpenAI-compatible endpoint in front of the engine."""
