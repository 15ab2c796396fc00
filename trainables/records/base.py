"""Record: base class of what is kept as JSON in a journal."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer


class Record(BaseModel):
    """A frozen value with a JSON form. Unknown keys are ignored, so that additions do not break older readers."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    def dump(self) -> dict[str, Any]:
        """Return the value as the journal keeps it: plain types that `json` can write."""
        return self.model_dump(mode="json", by_alias=True)


class CompactRecord(Record):
    """A record that leaves out some of its fields while they are empty, so that it reads as before they existed."""

    omitted_if_empty: ClassVar[tuple[str, ...]] = ()

    @model_serializer(mode="wrap")
    def _compact(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in dump(self).items() if value or key not in self.omitted_if_empty}


def problem(error: ValidationError) -> str:
    """Return the first problem of a validation error in words: `conditions.0.epochs: Field required`."""
    first = error.errors(include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
