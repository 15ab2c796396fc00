"""Records of studies on several data sets, and those of others, which are as before there were several."""

from __future__ import annotations

from trainables.records import ConditionRecord, DataFacts, Facts

DIGITS, TOY = DataFacts(fingerprint="d"), DataFacts(fingerprint="t", class_names=("red", "blue"))


def test_facts_tell_the_data_set_of_a_label() -> None:
    several = Facts(data_sets={"digits": DIGITS, "toy": TOY})
    assert (several.data_of("toy"), several.data_of("other"), several.data_of("")) == (TOY, None, None)
    assert Facts.parse(several.dump()) == several
    assert Facts(data=DIGITS).data_of("") == DIGITS
    assert Facts().data_of("") is None


def test_records_of_one_data_set_are_written_as_before_there_were_several() -> None:
    condition = ConditionRecord(name="all", values={}, epochs=20, selection_epochs=3, rungs=())
    assert list(condition.dump()) == ["name", "values", "epochs", "selection_epochs", "rungs", "unstopped"]
    assert list(Facts(data=DIGITS).dump()) == ["versions", "machine", "git", "data", "replayed"]
    assert ConditionRecord.model_validate({**condition.dump(), "data": "toy"}).dump()["data"] == "toy"
