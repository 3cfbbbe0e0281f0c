"""The `openai` engine: values out of a document that was read, by a model behind an OpenAI-compatible
endpoint. Runs in the worker, never in the sandbox: it talks to the network."""

from services.worker.llm.language_model import LanguageModel

__all__ = ["LanguageModel"]
