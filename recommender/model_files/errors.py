"""Why a model's file says nothing.

BadRequest                 exit code 2
├── ModelFileUnknown       no format that can be read here
├── ModelFileUnsafe        a pickle: reading it could run any program
└── ModelFileDamaged       the format is known, and the file is not whole
"""

from __future__ import annotations

from recommender.errors import BadRequest

__all__ = ["ModelFileDamaged", "ModelFileUnknown", "ModelFileUnsafe"]


class ModelFileUnknown(BadRequest):
    pass


class ModelFileUnsafe(BadRequest):
    pass


class ModelFileDamaged(BadRequest):
    pass
