"""Does what is served answer as what was tuned: adapter in transformers, merged weights and adapter in vLLM."""
