"""What a model's own file says of it: parameters, bytes, layers, FLOPs."""

from recommender.model_files.errors import (
    ModelFileDamaged,
    ModelFileUnknown,
    ModelFileUnsafe,
)
from recommender.model_files.facts import ModelFacts
from recommender.model_files.profile import ModelProfile, layers_of, precision_of
from recommender.model_files.reading import read_model

__all__ = [
    "ModelFacts",
    "ModelFileDamaged",
    "ModelFileUnknown",
    "ModelFileUnsafe",
    "ModelProfile",
    "layers_of",
    "precision_of",
    "read_model",
]
