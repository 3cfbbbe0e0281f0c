"""The ways to call a method of the official Python client, made alike: one story runs in all of them."""

import inspect
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from llama_cloud import AsyncLlamaCloud, LlamaCloud

MODES = ("sync", "sync strict", "async", "async strict", "raw", "async streaming")
QUICK = {"polling_interval": 0.1, "max_interval": 0.5}


def methods_of(resource: object) -> set[str]:
    """The public methods that the installed client has there."""
    found = vars(type(resource)).items()
    return {name for name, what in found if not name.startswith("_") and inspect.isfunction(what)}


class Resource:
    """A resource of the client in one mode. Each of its methods is awaited; a list answers all its items."""

    def __init__(self, resource: Any, mode: str) -> None:
        self._resource = resource
        self._wrapped = resource
        if "raw" in mode:
            self._wrapped = resource.with_raw_response
        elif "streaming" in mode:
            self._wrapped = resource.with_streaming_response
        self.called: set[str] = set()

    @property
    def forgotten(self) -> set[str]:
        """Methods that no story has called."""
        return methods_of(self._resource) - self.called

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*given: Any, **named: Any) -> Any:
            self.called.add(name)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                if name in {"list", "list_paginated"}:
                    return await self._all(name, *given, **named)
                return await self._once(name, *given, **named)

        return call

    async def _once(self, method: str, /, *given: Any, **named: Any) -> Any:
        # The client's own helpers make several requests, so nothing of them is raw or streamed.
        answer = getattr(self._wrapped, method, getattr(self._resource, method))(*given, **named)
        if hasattr(answer, "__aenter__"):
            async with answer as response:
                return await response.parse()
        if hasattr(answer, "__enter__"):
            with answer as response:
                return response.parse()
        if inspect.isawaitable(answer):
            answer = await answer
        if hasattr(answer, "http_request"):
            answer = answer.parse()
            return await answer if inspect.isawaitable(answer) else answer
        return answer

    async def _all(self, method: str, /, *given: Any, **named: Any) -> list[Any]:
        if self._wrapped is self._resource:
            pages = getattr(self._resource, method)(*given, **named)
            if hasattr(pages, "__aiter__"):
                return [one async for one in pages]
            return list(await pages if inspect.isawaitable(pages) else pages)
        found: list[Any] = []
        page = await self._once(method, *given, **named)
        while not isinstance(page, list):
            found += page.items
            if not page.next_page_token:
                return found
            page = await self._once(method, *given, **{**named, "page_token": page.next_page_token})
        return page


class Api:
    """The resources around batches in one mode."""

    def __init__(self, client: Any, mode: str) -> None:
        self.batches = Resource(client.batches, mode)
        self.configurations = Resource(client.configurations, mode)
        self.directories = Resource(client.beta.directories, mode)
        self.directory_files = Resource(client.beta.directories.files, mode)
        self.extract = Resource(client.extract, mode)
        self.files = Resource(client.files, mode)
        self.parsing = Resource(client.parsing, mode)
        self.projects = Resource(client.projects, mode)
        self.v2_projects = Resource(client.v2_projects, mode)
        self.webhook_configs = Resource(client.webhook_configs, mode)


@asynccontextmanager
async def opened(mode: str, base_url: str, key: str) -> AsyncIterator[Api]:
    """The client of this mode, without retries; all but the plain ones validate strictly."""
    strict = mode not in ("sync", "async")
    named: Any = {"base_url": base_url, "api_key": key, "max_retries": 0}
    if "async" in mode:
        async with AsyncLlamaCloud(**named, _strict_response_validation=strict) as client:
            yield Api(client, mode)
    else:
        with LlamaCloud(**named, _strict_response_validation=strict) as plain:
            yield Api(plain, mode)
