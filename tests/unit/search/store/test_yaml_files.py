"""Tests of YAML reading: scalars of YAML 1.2, and texts that are refused."""

from __future__ import annotations

import time

import pytest

from search.store.yaml_files import dump, parse_mapping, parse_value
from trainables.errors import InputError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("off", "off"),
        ("yes", "yes"),
        ("true", True),
        ("0100", 100),
        ("-7", -7),
        ("1:30", "1:30"),
        ("1e-3", 0.001),
        ("1.5", 1.5),
        ("2020-01-01", "2020-01-01"),
        ("~", None),
        ("1_000", "1_000"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "value", ["off", "1e3", "0100", "1:30", "true", "~", "2020-01-01", "<<", "=", 1e-05, 1e16, "少"]
)
def test_dumped_values_are_read_as_they_were(value: object) -> None:
    assert parse_value(dump({"a": value})) == {"a": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<<: {a: 1}", "merge keys"),
        ("a: !!int abc", "is not a number"),
        ("a: !!python/name:os.system x", "tag"),
        ("a: &x [*x]", "contains itself"),
        ("? [1]\n: 2", "a key must be a single value"),
        ("[" * 5000, "levels deep"),
        ("- " * 5000 + "a", "levels deep"),
        ("a: " + "9" * 5000, "at most 300 digits"),
        ('a: "\\ud800"', "U\\+D800"),
        ('a: "x\\0y"', "U\\+0000"),
        ('a: "\\u202e"', "U\\+202E"),
        ("a: 1\na: 2", "duplicate key"),
        ("x" * 3_000_000, "characters"),
    ],
)
def test_a_text_that_cannot_be_meant_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_mapping(text, "study.yaml")


def test_aliases_that_expand_without_bound_are_refused_at_once() -> None:
    levels = "".join(f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    before = time.process_time()
    with pytest.raises(InputError, match="with aliases written out"):
        parse_mapping("a0: &a0 [x]\n" + levels, "study.yaml")
    assert time.process_time() - before < 1
