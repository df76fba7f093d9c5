"""Writes GGUF files of random networks, of any size, for benchmarks and tests of the engine.

    python -m benchmarks.random_model big.gguf --layers 12 --dim 768 --vocabulary 32000

The same arguments give the same bytes. Needs numpy only. The tokenizer is the fixture model's byte
pairs, grown by joining tokens until the vocabulary has the size asked for: pieces are as long as
real ones are and the way to them is as with real ones. The network never learnt anything.
"""

import argparse
import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

FIXTURE = Path(__file__).parent.parent / "tests" / "fixtures" / "tiny-memory-agent"
SEED = 20_261_120
LONGEST_PIECE = 14
_ALIGNMENT = 32
_NORMAL, _CONTROL, _USER_DEFINED = 1, 3, 4  # kinds of tokens, as llama.cpp counts them
_F32, _Q8_0 = 0, 8  # types of tensors
_CODES = {int: (4, "<I"), float: (6, "<f"), bool: (7, "<?")}
_STRING, _ARRAY, _INT32 = 8, 9, 5


@dataclass(frozen=True, slots=True)
class Shape:
    """A network of the llama architecture; kv_heads < heads is grouped attention.

    window: sliding attention of so many tokens in five of six layers, as Gemma 3 has it; 0: none.
    recurrent: a Mamba instead, which cannot take back what it read; heads and ffn are not used.
    """

    dim: int = 768
    layers: int = 12
    heads: int = 12
    kv_heads: int = 4
    ffn: int = 2048
    vocabulary: int = 32_000
    context: int = 16_384
    window: int = 0
    recurrent: bool = False


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Pieces and kinds in the order of ids, and the pairs that are joined, first ones first."""

    pieces: list[str]
    kinds: list[int]
    merges: list[str]


def write_model(path: Path, shape: Shape, parts: int = 1, seed: int = SEED) -> Path:
    """Write a model, split into parts the way llama.cpp splits; returns the first file."""
    tensors = list(_tensors(shape, seed))
    if parts == 1:
        _write_file(path, _metadata(shape), tensors)
        return path
    names = [path.with_name(f"{path.stem}-{n + 1:05}-of-{parts:05}.gguf") for n in range(parts)]
    for number, name in enumerate(names):
        split: dict[str, Any] = {"split.no": _Short(number), "split.count": _Short(parts)}
        split["split.tensors.count"] = _Signed(len(tensors))
        head = {**_metadata(shape), **split} if number == 0 else split
        _write_file(name, head, tensors[number::parts])
    return names[0]


def grow_vocabulary(size: int, seed: int = SEED) -> Vocabulary:
    """Join the fixture's tokens until there are `size`."""
    tokenizer = json.loads((FIXTURE / "tokenizer.json").read_text("utf-8"))
    ids: dict[str, int] = dict(tokenizer["model"]["vocab"])
    added = [token["content"] for token in tokenizer["added_tokens"]]
    plain = [piece for piece in sorted(ids, key=lambda piece: ids[piece]) if piece not in added]
    merges = [m if isinstance(m, str) else " ".join(m) for m in tokenizer["model"]["merges"]]
    known, random = set(plain), np.random.default_rng(seed)
    while len(plain) + len(added) < size:
        # Early tokens are the frequent ones: joined more often, as in a real vocabulary.
        first, second = (random.random((2, 4096)) ** 2 * len(plain)).astype(int)
        for left, right in zip(first, second, strict=True):
            pair = plain[left] + plain[right]
            joins = _joins(plain[left], plain[right]) and pair not in known
            if joins and len(plain) + len(added) < size:
                known.add(pair)
                plain.append(pair)
                merges.append(f"{plain[left]} {plain[right]}")
    marks = [
        _USER_DEFINED if piece.startswith(("<tool", "</tool")) else _CONTROL for piece in added
    ]
    return Vocabulary(plain + added, [_NORMAL] * len(plain) + marks, merges)


def _joins(left: str, right: str) -> bool:
    """Words grow from letters, and punctuation from punctuation, as `"}` and `": ` in real ones."""
    if len(left) + len(right) > LONGEST_PIECE or "Ġ" in right:
        return False
    if not (left.lstrip("Ġ") + right).isascii():
        return False
    word = left.lstrip("Ġ").isalpha() and right.isalpha()
    return word or not any(character.isalnum() for character in left + right)


def _metadata(shape: Shape) -> dict[str, Any]:
    words = grow_vocabulary(shape.vocabulary)
    kind = "mamba" if shape.recurrent else "gemma3" if shape.window else "llama"
    head: dict[str, Any] = {
        "general.architecture": kind,
        "general.name": "random",
        f"{kind}.context_length": shape.context,
        f"{kind}.embedding_length": shape.dim,
        f"{kind}.block_count": shape.layers,
        f"{kind}.feed_forward_length": shape.ffn,
        f"{kind}.attention.head_count": shape.heads,
        f"{kind}.attention.head_count_kv": shape.kv_heads,
        f"{kind}.attention.layer_norm_rms_epsilon": 1e-5,
        f"{kind}.rope.dimension_count": shape.dim // shape.heads,
        f"{kind}.rope.freq_base": 1e4,
        f"{kind}.vocab_size": len(words.pieces),
    }
    if shape.window:
        head |= {
            f"{kind}.attention.sliding_window": shape.window,
            f"{kind}.attention.key_length": shape.dim // shape.heads,
            f"{kind}.attention.value_length": shape.dim // shape.heads,
        }
    if shape.recurrent:
        sizes = {"conv_kernel": 4, "inner_size": 2 * shape.dim, "state_size": 16}
        head |= {f"{kind}.ssm.{name}": size for name, size in sizes.items()}
        head |= {f"{kind}.ssm.time_step_rank": shape.dim // 16}
    end = words.pieces.index("<|im_end|>")
    return head | {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": words.pieces,
        "tokenizer.ggml.token_type": words.kinds,
        "tokenizer.ggml.merges": words.merges,
        "tokenizer.ggml.bos_token_id": words.pieces.index("<|endoftext|>"),
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": (FIXTURE / "chat_template.jinja").read_text("utf-8"),
    }


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    data: bytes


def _tensors(shape: Shape, seed: int) -> Iterator[_Tensor]:
    layer = _recurrent_layer(shape) if shape.recurrent else _attention_layer(shape)
    sizes: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (shape.vocabulary, shape.dim),
        "output_norm.weight": (shape.dim,),
        **{f"blk.{n}.{name}": size for n in range(shape.layers) for name, size in layer.items()},
    }
    for name, size in sizes.items():
        random = np.random.default_rng([seed, *name.encode()])
        if name.endswith("ssm_a"):
            decay = -np.exp(random.random(size, dtype=np.float32))
            yield _Tensor(name, size, _F32, decay.tobytes())
        elif len(size) == 1:
            yield _Tensor(name, size, _F32, np.ones(size, np.float32).tobytes())
        else:
            scale = np.sqrt(size[1], dtype=np.float32)
            drawn = random.standard_normal(size, dtype=np.float32) / scale
            small = size[1] % 32 != 0
            kind, data = (_F32, drawn.tobytes()) if small else (_Q8_0, _quantised(drawn))
            yield _Tensor(name, size, kind, data)


def _attention_layer(shape: Shape) -> dict[str, tuple[int, ...]]:
    dim, ffn, head = shape.dim, shape.ffn, shape.dim // shape.heads
    kv = head * shape.kv_heads
    layer: dict[str, tuple[int, ...]] = {
        "attn_norm": (dim,), "attn_q": (dim, dim), "attn_k": (kv, dim), "attn_v": (kv, dim),
        "attn_output": (dim, dim), "ffn_norm": (dim,), "ffn_gate": (ffn, dim),
        "ffn_up": (ffn, dim), "ffn_down": (dim, ffn),
    }  # fmt: skip
    if shape.window:
        layer |= dict.fromkeys(("post_attention_norm", "post_ffw_norm"), (dim,))
        layer |= {"attn_q_norm": (head,), "attn_k_norm": (head,)}
    return {f"{name}.weight": size for name, size in layer.items()}


def _recurrent_layer(shape: Shape) -> dict[str, tuple[int, ...]]:
    dim, inner, rank = shape.dim, 2 * shape.dim, shape.dim // 16
    return {
        "attn_norm.weight": (dim,), "ssm_in.weight": (2 * inner, dim),
        "ssm_conv1d.weight": (inner, 4), "ssm_conv1d.bias": (inner,),
        "ssm_x.weight": (rank + 32, inner), "ssm_dt.weight": (inner, rank),
        "ssm_dt.bias": (inner,), "ssm_a": (inner, 16), "ssm_d": (inner,),
        "ssm_out.weight": (dim, inner),
    }  # fmt: skip


def _quantised(values: npt.NDArray[np.float32]) -> bytes:
    """Pack as q8_0: for each 32 values a float16 scale and 32 signed bytes."""
    blocks = values.reshape(-1, 32)
    scale = np.abs(blocks).max(axis=1, keepdims=True) / 127
    packed = np.empty(len(blocks), dtype=[("scale", "<f2"), ("bytes", "i1", (32,))])
    packed["scale"] = scale[:, 0]
    packed["bytes"] = np.rint(blocks / np.maximum(scale, 1e-12))
    return packed.tobytes()


class _Short(int):
    """Written with two bytes."""


class _Signed(int):
    """Written with a sign."""


def _write_file(path: Path, head: dict[str, Any], tensors: Sequence[_Tensor]) -> None:
    out = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(head)))
    for key, value in head.items():
        out += _text(key) + _value(value)
    place = 0
    for tensor in tensors:
        out += _text(tensor.name) + struct.pack("<I", len(tensor.shape))
        out += struct.pack(f"<{len(tensor.shape)}Q", *reversed(tensor.shape))
        out += struct.pack("<IQ", tensor.kind, place)
        place += -(-len(tensor.data) // _ALIGNMENT) * _ALIGNMENT
    with path.open("wb") as file:
        file.write(_padded(bytes(out)))
        for tensor in tensors:
            file.write(_padded(tensor.data))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % _ALIGNMENT)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: object) -> bytes:
    match value:
        case str():
            return struct.pack("<I", _STRING) + _text(value)
        case _Short():
            return struct.pack("<IH", 2, value)
        case _Signed():
            return struct.pack("<Ii", _INT32, value)
        case [str(), *_]:
            return struct.pack("<IIQ", _ARRAY, _STRING, len(value)) + b"".join(
                _text(str(text)) for text in value
            )
        case [int(), *_]:
            numbers = struct.pack(f"<{len(value)}i", *value)
            return struct.pack("<IIQ", _ARRAY, _INT32, len(value)) + numbers
        case bool() | int() | float():
            code, form = _CODES[type(value)]
            return struct.pack("<I", code) + struct.pack(form, value)
    raise TypeError(f"{value!r} has no place in the metadata")


def main() -> None:
    """Write one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--parts", type=int, default=1)
    for name in ("dim", "layers", "heads", "kv_heads", "ffn", "vocabulary", "context", "window"):
        default = Shape.__dataclass_fields__[name].default
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    options = vars(parser.parse_args())
    path, parts = options.pop("path"), options.pop("parts")
    print(write_model(path, Shape(**options), parts))


if __name__ == "__main__":
    main()
