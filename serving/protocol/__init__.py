"""The part of the OpenAI protocol that is served: requests by allow-list, answers by construction."""
