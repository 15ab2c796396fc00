"""Record: base class of what is kept as JSON in a journal."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Record(BaseModel):
    """A frozen value with a JSON form. Unknown keys are ignored, so that additions do not break older readers."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def dump(self) -> dict[str, Any]:
        """Return the value as the journal keeps it: plain types that `json` can write."""
        return self.model_dump(mode="json", by_alias=True)


def problem(error: ValidationError) -> str:
    """Return the first problem of a validation error in words: `conditions.0.epochs: Field required`."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
