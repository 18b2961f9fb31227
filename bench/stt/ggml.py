"""whisper.cpp's file from CTranslate2's: the same weights, in blocks of 32 eight-bit numbers (q8_0).

Formats: CTranslate2's model.bin (python/ctranslate2/specs/model_spec.py); whisper.cpp's models/convert-h5-to-ggml.py
and examples/quantize. For models whose CTranslate2 weights are float16, as Systran's are.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from faster_whisper.feature_extractor import FeatureExtractor

Weights = dict[str, npt.NDArray[np.float32]]

_MAGIC = 0x67676D6C
_QUANTISED = 2007  # version 2 of quantisation, mostly q8_0
_F32, _F16, _Q8_0 = 0, 1, 8
_BLOCK = 32
_FLOAT16 = 4  # CTranslate2's number for it
_TEXT_TOKENS = 50_257
_HEAD_SIZE = 64


def convert(directory: Path, target: Path) -> None:
    """Writes `target` beside itself first, so that a broken run leaves nothing that looks whole."""
    weights = read_weights(directory / "model.bin")
    layers = len({name.split("/")[1] for name in weights if name.startswith("encoder/layer_") and "norm/" in name}) - 1
    vocabulary, state = weights["decoder/embeddings/weight"].shape
    audio_context, text_context = (weights[f"{side}/position_encodings/encodings"].shape[0] for side in _SIDES)
    mels, heads = weights["encoder/conv1/weight"].shape[1], state // _HEAD_SIZE
    audio = [audio_context, state, heads, layers]
    text = [text_context, state, heads, layers]
    unfinished = target.with_suffix(".part")
    with unfinished.open("wb") as file:
        file.write(struct.pack("<12i", _MAGIC, vocabulary, *audio, *text, mels, _QUANTISED))
        _write_filters(file, mels)
        _write_tokens(file, directory / "tokenizer.json")
        for name, values in tensors(weights, layers):
            _write_tensor(file, name, values)
    unfinished.rename(target)


def read_weights(path: Path) -> Weights:
    """All arrays of float16 in a CTranslate2 model; scalars are left out."""
    weights: Weights = {}
    with path.open("rb") as file:

        def number(form: str) -> int:
            return int(struct.unpack(form, file.read(struct.calcsize(form)))[0])

        def text() -> str:
            return file.read(number("<H"))[:-1].decode()

        number("<I"), text(), number("<I")
        for _ in range(number("<I")):
            name = text()
            shape = [number("<I") for _ in range(number("<B"))]
            kind, size = number("<B"), number("<I")
            data = file.read(size)
            if kind == _FLOAT16:
                weights[name] = np.frombuffer(data, np.float16).reshape(shape).astype(np.float32)
    return weights


_SIDES = ("encoder", "decoder")


def tensors(weights: Weights, layers: int) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Each under whisper.cpp's name."""
    for side, last in zip(_SIDES, ("ln_post", "ln"), strict=True):
        yield f"{side}.positional_embedding", weights[f"{side}/position_encodings/encodings"]
        yield from _norm(weights, f"{side}/layer_norm", f"{side}.{last}")
        for layer in range(layers):
            theirs, ours = f"{side}/layer_{layer}", f"{side}.blocks.{layer}"
            fused = ("query", "key", "value")
            yield from _norm(weights, f"{theirs}/self_attention/layer_norm", f"{ours}.attn_ln")
            yield from _linear(weights, f"{theirs}/self_attention/linear_0", [f"{ours}.attn.{part}" for part in fused])
            yield from _linear(weights, f"{theirs}/self_attention/linear_1", [f"{ours}.attn.out"])
            if side == "decoder":
                cross = f"{ours}.cross_attn"
                yield from _norm(weights, f"{theirs}/attention/layer_norm", f"{cross}_ln")
                yield from _linear(weights, f"{theirs}/attention/linear_0", [f"{cross}.query"])
                yield from _linear(weights, f"{theirs}/attention/linear_1", [f"{cross}.key", f"{cross}.value"])
                yield from _linear(weights, f"{theirs}/attention/linear_2", [f"{cross}.out"])
            yield from _norm(weights, f"{theirs}/ffn/layer_norm", f"{ours}.mlp_ln")
            yield from _linear(weights, f"{theirs}/ffn/linear_0", [f"{ours}.mlp.0"])
            yield from _linear(weights, f"{theirs}/ffn/linear_1", [f"{ours}.mlp.2"])
    for name in ("conv1", "conv2"):
        yield f"encoder.{name}.weight", weights[f"encoder/{name}/weight"]
        yield f"encoder.{name}.bias", weights[f"encoder/{name}/bias"].reshape(-1, 1)
    yield "decoder.token_embedding.weight", weights["decoder/embeddings/weight"]


def _norm(weights: Weights, theirs: str, ours: str) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    yield f"{ours}.weight", weights[f"{theirs}/gamma"]
    yield f"{ours}.bias", weights[f"{theirs}/beta"]


def _linear(weights: Weights, theirs: str, ours: list[str]) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """CTranslate2 lays the parts of attention one below another. Keys have no bias in Whisper; there it is zeros."""
    matrices = np.split(weights[f"{theirs}/weight"], len(ours))
    biases = np.split(weights[f"{theirs}/bias"], len(ours))
    for name, matrix, bias in zip(ours, matrices, biases, strict=True):
        yield f"{name}.weight", matrix
        if not name.endswith(".key"):
            yield f"{name}.bias", bias


def _write_filters(file: BinaryIO, mels: int) -> None:
    filters = FeatureExtractor.get_mel_filters(16_000, 400, n_mels=mels).astype(np.float32)
    file.write(struct.pack("<2i", *filters.shape) + filters.tobytes())


def _write_tokens(file: BinaryIO, tokenizer: Path) -> None:
    ids: dict[str, int] = json.loads(tokenizer.read_text(encoding="utf-8"))["model"]["vocab"]
    letters = _byte_letters()
    tokens = [token for token, number in sorted(ids.items(), key=lambda item: item[1]) if number < _TEXT_TOKENS]
    file.write(struct.pack("<i", len(tokens)))
    for token in tokens:
        text = bytes(letters[letter] for letter in token) if token != "<|endoftext|>" else token.encode()
        file.write(struct.pack("<i", len(text)) + text)


def _byte_letters() -> dict[str, int]:
    """GPT-2's way to write bytes as letters."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(others)}


def _write_tensor(file: BinaryIO, name: str, values: npt.NDArray[np.float32]) -> None:
    if values.ndim == 1 or name.endswith(("bias", "positional_embedding")):
        kind, data = _F32, values.astype(np.float32).tobytes()
    elif values.ndim == 2:
        kind, data = _Q8_0, quantised(values)
    else:
        kind, data = _F16, values.astype(np.float16).tobytes()
    encoded = name.encode()
    file.write(struct.pack("<3i", values.ndim, len(encoded), kind))
    file.write(struct.pack(f"<{values.ndim}i", *reversed(values.shape)) + encoded + data)


def quantised(values: npt.NDArray[np.float32]) -> bytes:
    """q8_0: a float16 scale, then 32 bytes."""
    blocks = values.reshape(-1, _BLOCK)
    scales = np.abs(blocks).max(axis=1, keepdims=True) / 127
    numbers = np.rint(blocks / np.where(scales == 0, 1, scales)).astype(np.int8)
    return np.concatenate([scales.astype(np.float16).view(np.int8), numbers], axis=1).tobytes()
