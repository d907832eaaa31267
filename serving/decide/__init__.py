"""POST /v1/decide: AI, a person or no contact; permitted offers and the practice that worked. No model is asked."""
