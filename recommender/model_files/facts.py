from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from recommender.model_files.profile import ModelProfile

__all__ = ["ModelFacts"]


class ModelFacts(BaseModel):
    """What was said of the model that a server holds.

    unreadable: why there is no profile. items_per_request: tokens, images or rows; None where
    nobody said. batch: requests that the server answers together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    profile: ModelProfile | None = None
    unreadable: str | None = None
    items_per_request: float | None = Field(default=None, gt=0)
    batch: int = Field(default=1, ge=1)
