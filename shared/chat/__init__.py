"""Questions to a language model behind an OpenAI-compatible endpoint, and what its answers mean."""
