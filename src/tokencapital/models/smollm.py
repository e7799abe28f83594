"""The embedded generalist: SmolLM2-135M-Instruct in this process, through llama.cpp.

Allal et al., SmolLM2: When Smol Goes Big (arXiv 2502.02737), Apache-2.0. It is here so that the loop
turns on any machine without network; it shows that the loop learns, not that the model is good.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokencapital.core.case import Json, Message
from tokencapital.core.errors import ModelGarbage, ModelTimeout, ModelUnavailable, SettingsError
from tokencapital.core.quantity import Usage
from tokencapital.models.base import Completion, Delta, ModelRequest
from tokencapital.models.smollm_weights import INSTALL, f16_weights

_CONTEXT_TOKENS = 8192
"""All that the model was trained for; 180 MB of keys and values."""
_CONTROL = re.compile(r"<\|\w+\|>")
_NOT_A_WORD = re.compile(r"[\W_]+")


class SmolLM:
    """A `ModelClient` without network. The weights are loaded on first use; calls run one after another.

    `cache` is where the F16 weights are kept (None: the user's cache folder), `threads` how many
    cores a call uses (None: all), `timeout_s` bounds one call once its prompt was read.
    """

    name = "smollm2-135m-instruct"

    def __init__(self, *, cache: Path | None = None, threads: int | None = None, timeout_s: float = 120.0) -> None:
        self._cache = cache
        self._threads = threads or os.cpu_count() or 1
        self._timeout_s = timeout_s
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="smollm")
        self._server: Any = None

    async def complete(self, request: ModelRequest) -> Completion:
        """The whole answer, held to the labels or the schema while it is written.

        A label is done as soon as no other one can follow; `logprob` and the usage count the tokens
        up to there. Raises SettingsError (not installed), ModelTimeout, ModelUnavailable, ModelGarbage.
        """
        loop, stopped = asyncio.get_running_loop(), threading.Event()
        try:
            return await loop.run_in_executor(self._worker, self._answer, request, stopped, _ignore)
        finally:
            # A caller who no longer waits must not keep the next one waiting.
            stopped.set()

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """The answer in pieces; a label comes in one. Raises as `complete` does."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[str | None] = asyncio.Queue()
        stopped = threading.Event()

        def pass_on(piece: str | None) -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        working = loop.run_in_executor(self._worker, self._answer, request, stopped, pass_on)
        working.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            while (piece := await pieces.get()) is not None:
                if request.labels is None:
                    yield Delta(piece)
            completion = await working
        finally:
            stopped.set()
            working.cancel()
        if request.labels is not None:
            yield Delta(completion.text)
        cut = completion.usage.output is not None and completion.usage.output >= request.max_tokens
        yield Delta(finish="length" if cut else "stop", usage=completion.usage)

    async def close(self) -> None:
        """The weights are let go. A later call loads them again."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._unload)

    def _unload(self) -> None:
        self._server = None

    def _answer(self, request: ModelRequest, stopped: threading.Event, pass_on: Callable[[str], None]) -> Completion:
        if self._server is None:
            self._server = _start(f16_weights(self._cache), self._threads)
        started = time.perf_counter()
        spelt = spellings(request.labels or ())
        reply = _Reply(tuple(spelt), stopped, started + self._timeout_s, pass_on)
        self._server.handle_completions(_call(request, spelt), reply.take)
        reply.raise_for_failure(self._timeout_s)
        return Completion(
            text=reply.whole(request, spelt),
            usage=reply.usage,
            model=self.name,
            elapsed_s=time.perf_counter() - started,
            logprob=reply.logprob,
        )


class _Reply:
    """An answer while it is written. `take` says True when no more of it is wanted."""

    def __init__(
        self, choices: Sequence[str], stopped: threading.Event, deadline: float, pass_on: Callable[[str], None]
    ) -> None:
        self.text, self.logprob, self.usage = "", 0.0, Usage()
        self._open = list(choices)
        self._stopped, self._deadline, self._pass_on = stopped, deadline, pass_on
        self._late = False
        self._failure: Mapping[str, Json] | None = None

    def take(self, chunk: Mapping[str, Json]) -> bool:
        if "error" in chunk:
            self._failure = chunk["error"]
            return True
        choice = chunk["choices"][0]
        for token in (choice["logprobs"] or {}).get("content", ()):
            self.logprob += token["logprob"]
        if choice["text"]:
            self.text += choice["text"]
            self._pass_on(choice["text"])
        timings = chunk["timings"]
        self.usage = Usage(
            input=timings["prompt_n"], output=timings["predicted_n"], cache_read=max(0, timings["cache_n"])
        )
        self._open = [spelling for spelling in self._open if spelling.startswith(self.text)]
        self._late = time.perf_counter() > self._deadline
        return len(self._open) == 1 or self._late or self._stopped.is_set()

    def raise_for_failure(self, timeout_s: float) -> None:
        if self._failure is not None:
            remedy = "Send fewer exemplars or a shorter case."
            said = str(self._failure.get("message"))
            raise ModelUnavailable("the embedded generalist refused", where=SmolLM.name, remedy=remedy, said=said)
        if self._late:
            raise ModelTimeout(f"no answer within {timeout_s:g} s", where=SmolLM.name, remedy="Allow more time.")

    def whole(self, request: ModelRequest, spelt: Mapping[str, str]) -> str:
        """The answer as asked for. Raises ModelGarbage where the limit of tokens cut it short."""
        if request.labels is not None:
            if len(self._open) == 1:
                return spelt[self._open[0]]
            if self.text in spelt:
                return spelt[self.text]
        elif request.schema is None or _is_json(self.text):
            return self.text
        what = f"the answer was cut off at {request.max_tokens} tokens"
        raise ModelGarbage(what, where=SmolLM.name, remedy="Allow more tokens.", said=repr(self.text[:80]))


def spellings(labels: Sequence[str]) -> dict[str, str]:
    """Each label by how the model writes it: as lower-case words where these are unique, else as it is.

    Words are what the model has read most, and are fewer tokens: `card_not_working` takes 5, its words 3.
    """
    words = {label: _NOT_A_WORD.sub(" ", label).strip().lower() for label in labels}
    uses = Counter([*words.values(), *labels])

    def spelling(label: str) -> str:
        mine = words[label]
        return mine if mine and uses[mine] == 1 + (mine == label) else label

    return {spelling(label): label for label in labels}


def _call(request: ModelRequest, spelt: Mapping[str, str]) -> dict[str, Json]:
    call: dict[str, Json] = {
        "prompt": _chatml(request.messages, {label: spelling for spelling, label in spelt.items()}),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "n_probs": 1,
        "stream": True,
        "timings_per_token": True,
        "cache_prompt": True,
    }
    if spelt:
        call["grammar"] = "root ::= " + " | ".join(json.dumps(spelling, ensure_ascii=False) for spelling in spelt)
    if request.schema is not None:
        # Free white space is where a small model gets lost, and tokens that nobody reads.
        call["json_schema"] = {**request.schema, "x-guidance": {"whitespace_flexible": False}}
    return call


def _chatml(messages: Sequence[Message], spelling: Mapping[str, str]) -> str:
    turns = [
        f"<|im_start|>{message.role}\n{_CONTROL.sub(' ', spelling.get(message.content, message.content))}<|im_end|>\n"
        for message in messages
    ]
    return "".join([*turns, "<|im_start|>assistant\n"])


def _start(weights: Path, threads: int) -> Any:
    if find_spec("xllamacpp") is None:
        raise SettingsError("the embedded generalist is not installed", where="package xllamacpp", remedy=INSTALL)
    xllamacpp: Any = import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = _CONTEXT_TOKENS
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    # Between calls, threads must not spin: the machine has other work, and energy is counted.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    # The library opens a port of its own on loopback; without this key, which nobody knows, it answers nothing.
    params.api_keys = [secrets.token_hex(16)]
    params.cache_ram_mib = 0
    params.fit_params = False
    params.warmup = False
    params.verbosity = 0
    try:
        return xllamacpp.Server(params)
    except RuntimeError as error:
        what = f"the weights could not be loaded ({error})"
        raise ModelUnavailable(what, where=str(weights), remedy="Delete this file; it is made anew.") from error


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _ignore(_: str) -> None:
    """Nobody reads along."""
