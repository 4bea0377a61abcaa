"""What a torch archive holds, without torch and without running what a pickle asks for.

`torch.save` writes a ZIP archive: the storages as plain files, and a pickle that names them and
their shapes. Only the names by which torch rebuilds tensors are followed, into values that do
nothing; whatever else the pickle calls for ends the reading.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from recommender.model_files.errors import ModelFileDamaged, ModelFileUnsafe
from recommender.model_files.profile import ModelProfile, layers_of
from recommender.model_files.tensors import StoredTensor, profile_of_tensors, read_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["read_torch"]

_ITEM_BYTES = {
    **dict.fromkeys(("DoubleStorage", "LongStorage"), 8),
    **dict.fromkeys(("FloatStorage", "IntStorage"), 4),
    **dict.fromkeys(("HalfStorage", "BFloat16Storage", "ShortStorage"), 2),
    **dict.fromkeys(("CharStorage", "ByteStorage", "BoolStorage", "QInt8Storage"), 1),
}
_TORCH = ("torch", "torch.storage")
_MOST_PICKLE_BYTES = 64 * 2**20
_STORAGE = re.compile(r"/(?:data|constants)/\d+$")
_LEAST_MATRIX_BYTES = 4096


def read_torch(shards: Sequence[Path]) -> ModelProfile:
    """Raises ModelFileDamaged, and ModelFileUnsafe for what only running it would tell."""
    source = str(shards[0]) if len(shards) == 1 else f"{shards[0].parent} ({len(shards)} shards)"
    try:
        tensors = [tensor for shard in shards for tensor in _tensors(shard)]
    except ModelFileUnsafe:
        stored = [size for shard in shards for size in _storage_bytes(shard)]
        if not stored:
            raise
        return _by_bytes_alone(stored, source)
    if not tensors:
        raise ModelFileDamaged(
            f"{shards[0]}: no tensor in it", hint="give the file of the weights"
        )
    return profile_of_tensors(tensors, read_config(shards[0].parent), ("torch", source))


def _tensors(path: Path) -> Iterator[StoredTensor]:
    if not zipfile.is_zipfile(path):
        raise ModelFileUnsafe(
            f"{path}: a pickle, or a torch file of before 2020; reading it could run any program",
            hint="save the weights as safetensors, or give the model's size by hand: "
            "--model-params, --model-bytes, --model-layers",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            found = _unpickled(archive, path)
    except zipfile.BadZipFile as error:
        raise ModelFileDamaged(
            f"{path}: not a whole archive ({error})", hint="download or copy it again"
        ) from error
    yield from _named(found, "")


def _storage_bytes(path: Path) -> list[int]:
    """Of each storage, also of a whole module and of TorchScript."""
    if not zipfile.is_zipfile(path):
        return []
    with zipfile.ZipFile(path) as archive:
        return [
            each.file_size
            for each in archive.infolist()
            if _STORAGE.search(each.filename) and each.file_size
        ]


def _by_bytes_alone(stored: Sequence[int], source: str) -> ModelProfile:
    """What is more than a list of tensors is not followed: their sizes are there all the same."""
    matrices = sum(size >= _LEAST_MATRIX_BYTES for size in stored)
    return ModelProfile(
        format="torch",
        source=source,
        precision="fp32",
        parameters=max(sum(stored) // _ITEM_BYTES["FloatStorage"], 1),
        weight_bytes=sum(stored),
        layers=layers_of(matrices),
        notes=("a torch program, which is not run to be read: its numbers are taken for FP32",),
    )


def _unpickled(archive: zipfile.ZipFile, path: Path) -> object:
    index = next((each for each in archive.infolist() if each.filename.endswith("data.pkl")), None)
    if index is None or index.file_size > _MOST_PICKLE_BYTES:
        raise ModelFileDamaged(f"{path}: an archive, but not one of torch's", hint="give its file")
    try:
        return _Shapes(io.BytesIO(archive.read(index))).load()
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError) as error:
        raise ModelFileUnsafe(
            f"{path}: holds more than tensors ({error})",
            hint="save its state_dict (torch.save(model.state_dict(), …)) or safetensors; or give "
            "the model's size by hand: --model-params, --model-bytes, --model-layers",
        ) from error


@dataclass(frozen=True, slots=True)
class _Storage:
    item_bytes: int


@dataclass(frozen=True, slots=True)
class _Shape:
    shape: tuple[int, ...]
    item_bytes: int


class _Shapes(pickle.Unpickler):
    """Follows no name but those below."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        if module in _TORCH and name in _ITEM_BYTES:
            return _Storage(_ITEM_BYTES[name])
        known = {
            ("collections", "OrderedDict"): OrderedDict,
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch._utils", "_rebuild_parameter"): _first,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it calls for {module}.{name}")
        return known[module, name]

    @override
    def persistent_load(self, pid: Any) -> _Storage:
        storage = pid[1]
        if not isinstance(storage, _Storage):
            raise pickle.UnpicklingError("a storage of no known kind")
        return storage


def _rebuilt(storage: _Storage, _offset: int, shape: tuple[int, ...], *_rest: object) -> _Shape:
    return _Shape(tuple(int(side) for side in shape), storage.item_bytes)


def _first(value: _Shape, *_rest: object) -> _Shape:
    return value


def _named(found: object, prefix: str) -> Iterator[StoredTensor]:
    """Tensors of a state_dict, also one inside a checkpoint's dictionary."""
    if isinstance(found, _Shape):
        tensor = StoredTensor(prefix, found.shape, 0)
        yield StoredTensor(prefix, found.shape, tensor.elements * found.item_bytes)
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from _named(value, f"{prefix}.{name}" if prefix else str(name))
