"""Real files of small models, written by the libraries that define their formats."""

import io
import json
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
from gguf import GGUFWriter
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

HIDDEN, BLOCKS, VOCABULARY = 64, 3, 100


def decoder_tensors(dtype=np.float16):
    """A small decoder, named as Hugging Face names Llama's tensors."""
    tensors = {"model.embed_tokens.weight": np.zeros((VOCABULARY, HIDDEN), dtype)}
    for block in range(BLOCKS):
        prefix = f"model.layers.{block}"
        for name in ("q", "k", "v", "o"):
            tensors[f"{prefix}.self_attn.{name}_proj.weight"] = np.zeros((HIDDEN, HIDDEN), dtype)
        for name in ("gate", "up", "down"):
            tensors[f"{prefix}.mlp.{name}_proj.weight"] = np.zeros((HIDDEN, HIDDEN), dtype)
        tensors[f"{prefix}.input_layernorm.weight"] = np.ones(HIDDEN, dtype)
    return tensors


def write_safetensors(path: Path, tensors=None):
    tensors = decoder_tensors() if tensors is None else tensors
    save_file(tensors, path)
    return tensors


def write_config(folder: Path, **changes):
    config = {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": BLOCKS,
        "hidden_size": HIDDEN,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    }
    (folder / "config.json").write_text(json.dumps(config | changes))


def write_gguf(path: Path):
    tensors = {
        f"blk.{block}.{name}.weight": np.zeros((HIDDEN, HIDDEN), np.float16)
        for block in range(BLOCKS)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_up", "ffn_down")
    }
    writer = GGUFWriter(path, "llama")
    writer.add_block_count(BLOCKS)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_head_count(4)
    writer.add_head_count_kv(1)
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tensors


def write_onnx(path: Path, *, image: int | str = 16, width: int = 8):
    """A convolution and a classifier; `image` may be a name: a size nobody knows."""
    kernel = np.zeros((width, 3, 3, 3), np.float32)
    classes = np.zeros((width, 10), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["flat"]),
            helper.make_node("MatMul", ["flat", "classes"], ["scores"]),
        ],
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", 3, image, image])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 10])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(classes, "classes")],
    )
    onnx.save(helper.make_model(graph), path)
    return {"kernel": kernel, "classes": classes}


def write_torch(path: Path, state_dict_pickle: bytes, storages: dict[str, bytes]):
    """As torch.save lays its archive out."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/data.pkl", state_dict_pickle)
        for name, stored in storages.items():
            archive.writestr(f"model/data/{name}", stored)


def state_dict_pickle(shapes: dict[str, tuple[int, ...]], storage: str = "FloatStorage") -> bytes:
    """The pickle of {name: tensor} that torch.save writes, by hand: torch is not needed."""
    out = io.BytesIO()
    out.write(b"\x80\x02}(")
    for number, (name, shape) in enumerate(shapes.items()):
        out.write(_text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(")
        out.write(b"(" + _text("storage") + b"ctorch\n" + storage.encode() + b"\n")
        out.write(_text(str(number)) + _text("cpu") + _number(int(np.prod(shape))) + b"tQ")
        strides = tuple(int(np.prod(shape[n + 1 :])) for n in range(len(shape)))
        out.write(_number(0) + _tuple(shape) + _tuple(strides) + b"\x89")
        out.write(b"ccollections\nOrderedDict\n)RtR")
    out.write(b"u.")
    return out.getvalue()


def write_archive(path: Path, folder: Path):
    with tarfile.open(path, "w:gz") as archive:
        for each in sorted(folder.iterdir()):
            archive.add(each, each.name)


def _text(value: str) -> bytes:
    return b"X" + len(value).to_bytes(4, "little") + value.encode()


def _number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little")


def _tuple(values) -> bytes:
    return b"(" + b"".join(_number(value) for value in values) + b"t"
