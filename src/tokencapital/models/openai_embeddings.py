"""Embeddings from any endpoint that speaks OpenAI's `/embeddings`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np

from tokencapital.core.case import Json
from tokencapital.core.errors import ModelGarbage, ModelTimeout, ModelUnavailable, SettingsError
from tokencapital.models.arrays import FloatArray, unit_rows
from tokencapital.models.openai_http import Endpoint

_TEXTS_PER_CALL = 256


class OpenAIEmbedder:
    """An `Embedder` over HTTP. `dimensions` is what the model gives; it is declared, and held to.

    Raises SettingsError for an address that is not http or https.
    """

    def __init__(self, endpoint: Endpoint, dimensions: int) -> None:
        if not endpoint.url.startswith(("http://", "https://")):
            raise SettingsError("the address must begin with http:// or https://", where=endpoint.url)
        self._endpoint = endpoint
        self._where = endpoint.path("embeddings")
        self._dimensions = dimensions

    @property
    def name(self) -> str:
        """The model's name at the endpoint."""
        return self._endpoint.model

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def embed(self, texts: Sequence[str]) -> FloatArray:
        """A float32 array of shape (len(texts), dimensions) with rows of length 1; blank text: zeros.

        Raises ModelTimeout, ModelUnavailable or ModelGarbage.
        """
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        # Endpoints refuse empty input, and its vector is known.
        worded = [row for row, text in enumerate(texts) if text.strip()]
        for start in range(0, len(worded), _TEXTS_PER_CALL):
            rows = worded[start : start + _TEXTS_PER_CALL]
            vectors[rows] = self._vectors_in(self._call([texts[row] for row in rows]), len(rows))
        return unit_rows(vectors)

    def _call(self, texts: Sequence[str]) -> Json:
        body = json.dumps({"model": self._endpoint.model, "input": texts}).encode()
        headers = {"Content-Type": "application/json", **self._endpoint.headers}
        request = Request(self._where, data=body, headers=headers)  # noqa: S310 - the scheme is checked above
        try:
            with urlopen(request, timeout=self._endpoint.timeout_s) as response:  # noqa: S310
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                complaint = error.read().decode("utf-8", "replace")[:200]
            what = f"the endpoint answered {error.code}: {complaint}"
            raise ModelUnavailable(what, where=self._where, remedy="Check the model's name and the API key.") from error
        except TimeoutError as error:
            raise self._timeout() from error
        except URLError as error:
            if isinstance(error.reason, TimeoutError):
                raise self._timeout() from error
            what = f"the endpoint could not be reached ({error.reason})"
            raise ModelUnavailable(what, where=self._where, remedy="Check that it runs.") from error
        except ValueError as error:
            raise ModelGarbage("the response is not JSON", where=self._where) from error

    def _timeout(self) -> ModelTimeout:
        return ModelTimeout(f"no vectors within {self._endpoint.timeout_s:g} s", where=self._where)

    def _vectors_in(self, payload: Json, expected: int) -> FloatArray:
        try:
            rows = sorted(payload["data"], key=lambda row: row["index"])
            vectors = np.asarray([row["embedding"] for row in rows], dtype=np.float32)
        except (KeyError, TypeError, ValueError) as error:
            raise ModelGarbage("the response holds no vectors", where=self._where) from error
        if vectors.shape != (expected, self._dimensions):
            what = f"vectors of shape {vectors.shape} came where {(expected, self._dimensions)} was expected"
            raise ModelGarbage(what, where=self._where, remedy="Check the declared dimensions.")
        return vectors
