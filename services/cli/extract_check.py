"""The check of `batchmill doctor` that looks at the engine for values."""

from services.cli.settings import place_of
from shared.config import MissingSetting, Settings

MODELS_SHOWN = 3


async def look(settings: Settings) -> tuple[str, str]:
    """What the engine is, and what to do about it: nothing when it is well. Asks an endpoint for its models,
    with the key; sends it no document."""
    extract = settings.extract
    if extract.chosen_engine() == "rules":
        return "rules: no model is asked", ""
    try:
        base_url, model = extract.endpoint()
    except MissingSetting as error:
        return "openai", str(error)
    detail = f"openai: {model} at {place_of(base_url)}"
    try:
        from shared.chat.endpoint import Endpoint
    except ModuleNotFoundError as error:
        return detail, f"The worker is not installed here: {error.name} is missing."
    key = None if extract.api_key is None else extract.api_key.get_secret_value()
    endpoint = Endpoint(base_url, api_key=key, model=model, timeout_s=extract.timeout_s)
    try:
        models = await endpoint.models()
    finally:
        await endpoint.close()
    if not isinstance(models, list):
        told = getattr(models, "detail", "it gives no list of models")
        return detail, f"{told}. Is BATCHMILL_EXTRACT__BASE_URL right?"
    if model in models:
        return detail, ""
    # A server of one model often takes any name, so this is told and is no fault.
    return f"{detail}; it names {', '.join(models[:MODELS_SHOWN]) or 'no model'}", ""
