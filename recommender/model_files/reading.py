"""From a path to a profile: a file, a folder, or SageMaker's model.tar.gz."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from recommender.errors import BadRequest
from recommender.model_files.errors import (
    ModelFileDamaged,
    ModelFileUnknown,
    ModelFileUnsafe,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recommender.model_files.profile import ModelProfile

__all__ = ["read_model"]

_BY_HAND = "give the model's size by hand: --model-params, --model-bytes, --model-layers"
_ARCHIVES = (".tar.gz", ".tgz", ".tar")
_PICKLES = (".pkl", ".pickle", ".joblib")
# In this order: the one that says most first.
_FORMATS = (
    ("onnx", (".onnx",)),
    ("safetensors", (".safetensors",)),
    ("gguf", (".gguf",)),
    ("torch", (".pt", ".pth", ".bin", ".ckpt")),
)
_BESIDE = ("config.json",)


def read_model(path: Path) -> ModelProfile:
    """Raises BadRequest where there is nothing, and the errors of `model_files` for what is."""
    if not path.exists():
        raise BadRequest(f"{path}: no such file or folder", hint="name the model's file")
    if path.is_dir():
        return _of_files(sorted(each for each in path.rglob("*") if each.is_file()), path)
    if path.name.endswith(_ARCHIVES):
        return _of_archive(path)
    return _of_files([path], path)


def _of_archive(path: Path) -> ModelProfile:
    """Only what can be read is unpacked, into a folder that goes again."""
    wanted = tuple(ending for _, endings in _FORMATS for ending in endings)
    with tempfile.TemporaryDirectory(prefix="recommender-model-") as unpacked:
        try:
            with tarfile.open(path) as archive:
                members = [each for each in archive.getmembers() if each.isfile()]
                chosen = [each for each in members if each.name.endswith((*wanted, *_BESIDE))]
                for each in chosen:
                    _unpack(archive, each, Path(unpacked))
        except (tarfile.TarError, EOFError, OSError) as error:
            raise ModelFileDamaged(
                f"{path}: not a whole archive ({error})", hint="make or download it again"
            ) from error
        if not any(each.name.endswith(wanted) for each in members):
            raise _nothing_readable(path, [Path(each.name) for each in members])
        files = sorted(each for each in Path(unpacked).rglob("*") if each.is_file())
        inside = _of_files(files, path)
        name = Path(inside.source).name
        return inside.model_copy(update={"source": f"{path}: {name}"})


def _unpack(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Inside the folder, whatever its name says.

    By hand, since `extractall` takes a filter from Python 3.11.4 only.
    """
    parts = [part for part in PurePosixPath(member.name).parts if part not in {"/", ".."}]
    place = folder.joinpath(*parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    content = archive.extractfile(member)
    if content is not None:
        with content, place.open("wb") as file:
            shutil.copyfileobj(content, file)


def _of_files(files: Sequence[Path], asked: Path) -> ModelProfile:
    for name, endings in _FORMATS:
        found = [each for each in files if each.name.endswith(endings)]
        if found:
            return _reader_of(name)(_together(found))
    raise _nothing_readable(asked, files)


def _reader_of(name: str) -> Callable[[Sequence[Path]], ModelProfile]:
    """Imported when there is such a file: each brings a library."""
    match name:
        case "onnx":
            from recommender.model_files.onnx_files import read_onnx  # noqa: PLC0415

            return lambda found: read_onnx(max(found, key=lambda each: each.stat().st_size))
        case "safetensors":
            from recommender.model_files.safetensors_files import read_safetensors  # noqa: PLC0415

            return read_safetensors
        case "gguf":
            from recommender.model_files.gguf_files import read_gguf  # noqa: PLC0415

            return read_gguf
        case _:
            from recommender.model_files.torch_files import read_torch  # noqa: PLC0415

            return read_torch


def _together(found: Sequence[Path]) -> list[Path]:
    """The shards of one model: the files beside the largest."""
    largest = max(found, key=lambda each: each.stat().st_size)
    if "-of-" not in largest.name:
        return [largest]
    return [each for each in found if each.parent == largest.parent and "-of-" in each.name]


def _nothing_readable(asked: Path, files: Sequence[Path]) -> BadRequest:
    pickles = [each.name for each in files if each.name.endswith(_PICKLES)]
    if pickles:
        return ModelFileUnsafe(
            f"{asked}: {pickles[0]} is a pickle; reading it could run any program",
            hint=f"export the model as ONNX or safetensors, or {_BY_HAND}",
        )
    seen = ", ".join(each.name for each in files[:5]) or "nothing"
    return ModelFileUnknown(
        f"{asked}: no ONNX, safetensors, GGUF or torch file; found {seen}",
        hint=f"name such a file, or {_BY_HAND}",
    )
