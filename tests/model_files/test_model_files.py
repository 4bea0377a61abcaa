import pickle
import sys
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from recommender.errors import BadRequest
from recommender.model_files import (
    ModelFileDamaged,
    ModelFileUnknown,
    ModelFileUnsafe,
    read_model,
)

sys.path.insert(0, str(Path(__file__).parent))

from small_models import (
    BLOCKS,
    HIDDEN,
    VOCABULARY,
    decoder_tensors,
    state_dict_pickle,
    write_archive,
    write_config,
    write_gguf,
    write_onnx,
    write_safetensors,
    write_torch,
)


def total_bytes(tensors):
    return sum(each.nbytes for each in tensors.values())


def total_elements(tensors):
    return sum(each.size for each in tensors.values())


def test_the_bytes_of_safetensors_are_those_of_its_tensors(tmp_path):
    tensors = write_safetensors(tmp_path / "model.safetensors")
    found = read_model(tmp_path / "model.safetensors")
    assert found.weight_bytes == total_bytes(tensors)
    assert found.parameters == total_elements(tensors)
    assert (found.format, found.kind, found.precision) == ("safetensors", "decoder", "fp16")
    assert found.layers == BLOCKS
    assert found.flops_per_item == 2 * total_elements(tensors)


def test_the_configuration_beside_the_weights_says_how_large_the_cache_is(tmp_path):
    write_safetensors(tmp_path / "model.safetensors")
    write_config(tmp_path)
    found = read_model(tmp_path)
    assert found.kv_bytes_per_token == 2 * 2 * BLOCKS * (2 * HIDDEN // 4)
    assert found.context_tokens == 512


def test_without_a_configuration_the_cache_is_as_wide_as_the_keys(tmp_path):
    write_safetensors(tmp_path / "model.safetensors")
    found = read_model(tmp_path / "model.safetensors")
    assert found.kv_bytes_per_token == 2 * 2 * BLOCKS * HIDDEN
    assert found.notes


def test_a_table_that_is_looked_up_is_not_work_of_an_encoder(tmp_path):
    tensors = write_safetensors(tmp_path / "model.safetensors")
    write_config(tmp_path, architectures=["BertModel"])
    found = read_model(tmp_path)
    assert found.kind == "other"
    assert found.parameters == total_elements(tensors) - VOCABULARY * HIDDEN
    assert found.weight_bytes == total_bytes(tensors)
    assert found.kv_bytes_per_token is None
    assert found.flops_per_item == 2 * found.parameters  # of one token


def test_shards_of_one_model_count_together(tmp_path):
    tensors = decoder_tensors()
    names = list(tensors)
    for shard, own in enumerate((names[:9], names[9:]), start=1):
        file = tmp_path / f"model-0000{shard}-of-00002.safetensors"
        write_safetensors(file, {name: tensors[name] for name in own})
    assert read_model(tmp_path).weight_bytes == total_bytes(tensors)


def test_the_bytes_of_gguf_are_those_of_its_tensors(tmp_path):
    tensors = write_gguf(tmp_path / "model.gguf")
    found = read_model(tmp_path / "model.gguf")
    assert found.weight_bytes == total_bytes(tensors)
    assert found.parameters == total_elements(tensors)
    assert (found.kind, found.layers, found.context_tokens) == ("decoder", BLOCKS, 256)
    assert found.kv_bytes_per_token == 2 * 2 * BLOCKS * HIDDEN // 4


def test_onnx_counts_what_one_input_costs_from_its_shapes(tmp_path):
    weights = write_onnx(tmp_path / "model.onnx", image=16, width=8)
    found = read_model(tmp_path / "model.onnx")
    assert found.weight_bytes == total_bytes(weights)
    assert found.precision == "fp32"
    assert found.flops_per_item == 2 * (16 * 16 * 8 * 3 * 3 * 3) + 2 * (8 * 10)


def test_an_image_of_no_fixed_size_leaves_the_flops_unknown(tmp_path):
    write_onnx(tmp_path / "model.onnx", image="side")
    found = read_model(tmp_path / "model.onnx")
    assert found.flops_per_item is None
    assert found.notes == ("its input has no fixed size",)


@pytest.mark.parametrize(("storage", "item_bytes"), [("FloatStorage", 4), ("HalfStorage", 2)])
def test_a_torch_file_is_read_without_torch(tmp_path, storage, item_bytes):
    shapes = {"conv.weight": (4, 3, 3, 3), "fc.weight": (10, 4), "fc.bias": (10,)}
    write_torch(tmp_path / "model.pt", state_dict_pickle(shapes, storage), {"0": b""})
    found = read_model(tmp_path / "model.pt")
    assert found.parameters == 4 * 27 + 40 + 10
    assert found.weight_bytes == found.parameters * item_bytes


class Trap:
    def __reduce__(self):
        return (Path.touch, (Path(sys.prefix) / "never-touched",))


def test_a_torch_file_that_calls_for_a_program_is_refused_and_runs_nothing(tmp_path):
    write_torch(tmp_path / "model.pt", pickle.dumps({"weight": Trap()}), {})
    with pytest.raises(ModelFileUnsafe, match="calls for") as raised:
        read_model(tmp_path / "model.pt")
    assert "safetensors" in raised.value.hint
    assert not (Path(sys.prefix) / "never-touched").exists()


def test_an_artefact_of_sagemaker_is_looked_into(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    tensors = write_safetensors(inside / "model.safetensors")
    write_config(inside)
    write_archive(tmp_path / "model.tar.gz", inside)
    found = read_model(tmp_path / "model.tar.gz")
    assert found.weight_bytes == total_bytes(tensors)
    assert found.context_tokens == 512
    assert found.source.endswith("model.tar.gz: model.safetensors")


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/outside.safetensors"])
def test_an_archive_writes_nothing_outside_its_own_folder(tmp_path, name):
    tensors = write_safetensors(tmp_path / "model.safetensors")
    before = {*tmp_path.parent.rglob("*"), Path("/outside.safetensors")}
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "model.safetensors", name)
    assert read_model(tmp_path / "model.tar.gz").weight_bytes == total_bytes(tensors)
    left = {*tmp_path.parent.rglob("*")} - before
    assert left == {tmp_path / "model.tar.gz"}
    assert not Path("/outside.safetensors").exists()


def test_a_model_of_pickles_alone_is_refused_with_a_way_out(tmp_path):
    (tmp_path / "model.joblib").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ModelFileUnsafe, match=r"model\.joblib is a pickle") as raised:
        read_model(tmp_path)
    assert "--model-params" in raised.value.hint


def test_a_bare_pickle_named_as_torch_is_refused(tmp_path):
    (tmp_path / "model.pt").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ModelFileUnsafe):
        read_model(tmp_path / "model.pt")


def test_what_is_there_instead_is_named(tmp_path):
    (tmp_path / "weights.h5").write_bytes(b"\x89HDF")
    with pytest.raises(ModelFileUnknown, match=r"weights\.h5"):
        read_model(tmp_path)


def test_a_path_to_nothing_is_said_to_be_nothing(tmp_path):
    with pytest.raises(BadRequest, match="no such file"):
        read_model(tmp_path / "absent.onnx")


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf", "model.onnx"])
def test_half_a_file_is_refused_as_not_whole(tmp_path, name):
    write = {"safetensors": write_safetensors, "gguf": write_gguf, "onnx": write_onnx}
    path = tmp_path / name
    write[path.suffix[1:]](path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelFileDamaged, match=name):
        read_model(path)


@pytest.mark.parametrize("name", ["model.safetensors", "model.gguf", "model.onnx", "model.tar.gz"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 40])
def test_what_is_no_model_at_all_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelFileDamaged, match=name):
        read_model(tmp_path / name)


def test_trees_gain_nothing_and_are_refused(tmp_path):
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "none",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    with pytest.raises(ModelFileDamaged, match="multiplies no weights"):
        read_model(tmp_path / "model.onnx")


def test_eight_bits_are_told_from_sixteen(tmp_path):
    packed = {"fc.weight": np.zeros((64, 64), np.uint8)}
    write_safetensors(tmp_path / "model.safetensors", packed)
    assert read_model(tmp_path / "model.safetensors").precision == "8-bit"


def test_an_onnx_table_that_is_looked_up_is_weight_and_no_work(tmp_path):
    table = numpy_helper.from_array(np.zeros((100, 8), np.float32), "table")
    matrix = numpy_helper.from_array(np.zeros((8, 4), np.float32), "matrix")
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "tokens"], ["rows"]),
            helper.make_node("MatMul", ["rows", "matrix"], ["scores"]),
        ],
        "text",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n", "length"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", "length", 4])],
        [table, matrix],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    found = read_model(tmp_path / "model.onnx")
    assert found.parameters == 8 * 4
    assert found.weight_bytes == 4 * (100 * 8 + 8 * 4)
    assert found.flops_per_item == 2 * 8 * 4  # of one token, as the length is not fixed


def test_a_torch_program_is_known_by_the_sizes_of_its_storages_and_is_not_run(tmp_path):
    stored = {"0": bytes(64 * 1024), "1": bytes(256)}
    write_torch(tmp_path / "model.pt", pickle.dumps({"weight": Trap()}), stored)
    found = read_model(tmp_path / "model.pt")
    assert found.weight_bytes == 64 * 1024 + 256
    assert "not run" in found.notes[0]
    assert not (Path(sys.prefix) / "never-touched").exists()


def test_the_branches_of_an_onnx_graph_count(tmp_path):
    weights = numpy_helper.from_array(np.zeros((8, 4), np.float32), "weights")
    scores = helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 4])
    product = helper.make_node("MatMul", ["rows", "weights"], ["scores"])
    branch = helper.make_graph([product], "branch", [], [scores], [weights])
    graph = helper.make_graph(
        [helper.make_node("If", ["which"], ["scores"], then_branch=branch, else_branch=branch)],
        "branches",
        [
            helper.make_tensor_value_info("which", TensorProto.BOOL, []),
            helper.make_tensor_value_info("rows", TensorProto.FLOAT, [1, 8]),
        ],
        [scores],
    )
    onnx.save(helper.make_model(graph), tmp_path / "model.onnx")
    assert read_model(tmp_path / "model.onnx").parameters == 8 * 4
