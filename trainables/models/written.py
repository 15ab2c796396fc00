"""A Keras network as code that a person can read: one call for each layer, and functions for blocks that come again.

The code is taken from the network itself, so it is the same network by construction: each call is checked to give a
layer of the same configuration. Layers belong to one block where their names begin alike (`stage1_block2_a_conv`), and
blocks of the same layers become one function, whose parameters are what differs between them.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trainables.errors import InputError

if TYPE_CHECKING:
    import keras

BLOCK = re.compile(r"([a-z]+\d+[a-z]?(?:_(?:block)?\d+(?![a-z\d]))?)(?:_|$)")
SHORTEST = 3
"""Blocks of fewer layers are written out."""
ENTRY = "image"
INDENT = "    "
LETTERS = "xyzabcdefghklmnpqrstuvw"


@dataclass(frozen=True)
class Call:
    """One layer and what goes in.

    Args:
        name: the layer's.
        kind: its class in `keras.layers`.
        plain: arguments without keyword, as code.
        named: arguments by keyword, as code.
        inputs: names of the layers that it takes.
        several: whether it takes a list.
    """

    name: str
    kind: str
    plain: tuple[tuple[str, str], ...]
    named: tuple[tuple[str, str], ...]
    inputs: tuple[str, ...]
    several: bool

    @property
    def arguments(self) -> tuple[tuple[str, str], ...]:
        """All arguments by name."""
        return self.plain + self.named

    def code(self, inputs: Sequence[str], name: str, values: Sequence[str] | None = None) -> str:
        """Return the call as code, with other values of the arguments if they are given."""
        shown = list(values if values is not None else [value for _, value in self.arguments])
        written = shown[: len(self.plain)]
        written += [f"{key}={value}" for (key, _), value in zip(self.named, shown[len(self.plain) :], strict=True)]
        taken = f"[{', '.join(inputs)}]" if self.several else ", ".join(inputs)
        return f"layers.{self.kind}({', '.join([*written, f'name={name}'])})({taken})"


@dataclass(frozen=True)
class Block:
    """Calls that are written as one: `prefix` begins their names; `taken` is the one layer that they take."""

    prefix: str
    taken: str
    calls: tuple[Call, ...]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What blocks that share a function have in common."""
        place = {call.name: number for number, call in enumerate(self.calls)}
        return tuple(
            (
                call.kind,
                tuple(key for key, _ in call.arguments),
                call.name.removeprefix(self.prefix),
                tuple(place.get(name, -1) for name in call.inputs),
                call.several,
            )
            for call in self.calls
        )

    @property
    def values(self) -> list[str]:
        """All arguments of all calls, in order."""
        return [value for call in self.calls for _, value in call.arguments]


def network_code(model: keras.Model) -> str:
    """Return functions, the last of which is `build_network(image_shape)`.

    Args:
        model: functional or sequential, of layers that come with Keras.

    Raises:
        InputError: it has something that cannot be written as a call of a layer.
    """
    calls = _calls(model)
    last = calls[-1].name
    steps = _steps(calls)
    shared = _shared([step for step in steps if isinstance(step, Block)])
    functions = {structure: _Function(name, blocks) for structure, (name, blocks) in shared.items()}
    body = _Body(ENTRY, ENTRY, _unfolded(steps, functions))
    for step in body.steps:
        if isinstance(step, Call):
            taken = body.take(step.inputs)
            body.put(step.name, taken, step.code(taken, _quoted(step.name)))
        else:
            taken = body.take([step.taken])
            body.put(step.calls[-1].name, taken, functions[step.structure].call(step, taken[0]))
    head = [
        "def build_network(image_shape):",
        f'{INDENT}"""Return the network: normalised images in, logits out; {model.count_params():,} weights."""',
        f'{INDENT}{ENTRY} = keras.Input(image_shape, name="{ENTRY}")',
    ]
    end = f'{INDENT}return keras.Model({ENTRY}, {body.variable(last)}, name="{model.name}")'
    parts = [function.code() for function in functions.values()]
    return "\n\n\n".join([*parts, "\n".join([*head, *body.lines, end])]) + "\n"


def _unfolded(steps: Sequence[Call | Block], functions: Mapping[tuple[Any, ...], _Function]) -> list[Call | Block]:
    """Return the steps with the calls of blocks that have no function of their own."""
    return [
        each
        for step in steps
        for each in (step.calls if isinstance(step, Block) and step.structure not in functions else [step])
    ]


def _quoted(name: str) -> str:
    return f'"{name}"'


def _calls(model: keras.Model) -> list[Call]:
    """Return the layers in the order in which a person would write them: each branch whole."""
    config = model.get_config()
    found: dict[str, Call] = {}
    before = ""
    for entry in config["layers"]:
        name, nodes = entry["config"]["name"], entry.get("inbound_nodes")
        if entry["class_name"] == "InputLayer":
            found[name] = Call(name, "", (), (), (), False)
        else:
            inputs, several = ((before,), False) if nodes is None else _inputs(name, nodes)
            found[name] = Call(name, entry["class_name"], *_arguments(entry), inputs, several)
        before = name
    return _in_order(found, next(iter(_leaves(config.get("output_layers", before)))))


def _in_order(found: dict[str, Call], last: str) -> list[Call]:
    ordered: dict[str, Call] = {}
    waiting = [last]
    while waiting:
        call = found[waiting[-1]]
        missing = [name for name in call.inputs if name not in ordered and found[name].kind]
        if missing:
            waiting.append(missing[0])
        else:
            ordered.setdefault(waiting.pop(), call)
    entries = {name for name, call in found.items() if not call.kind}
    return [
        Call(
            call.name,
            call.kind,
            call.plain,
            call.named,
            tuple(ENTRY if name in entries else name for name in call.inputs),
            call.several,
        )
        for call in ordered.values()
    ]


def _inputs(name: str, nodes: Sequence[Any]) -> tuple[tuple[str, ...], bool]:
    """Return the names of the layers whose outputs a layer takes."""
    if len(nodes) != 1:
        raise InputError(f"layer `{name}` is used {len(nodes)} times, which cannot be written as a script")
    kwargs = {key: value for key, value in nodes[0]["kwargs"].items() if value}  # training=False is Keras's own note
    (taken, *more) = nodes[0]["args"]
    if kwargs or more:
        raise InputError(f"layer `{name}` is called with {kwargs or more}, which cannot be written as a script")
    tensors = taken if isinstance(taken, list | tuple) else [taken]
    return tuple(tensor["config"]["keras_history"][0] for tensor in tensors), isinstance(taken, list | tuple)


def _arguments(entry: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    """Return the arguments that a layer's call needs, by keyword or not: all that is not Keras's default.

    Raises:
        InputError: no call gives the same layer.
    """
    import keras

    config = {key: value for key, value in entry["config"].items() if key != "name"}
    kind = getattr(keras.layers, entry["class_name"], None)
    if kind is None or entry.get("registered_name"):
        raise InputError(
            f"layer `{entry['config']['name']}` ({entry['class_name']}) does not come with Keras, so it cannot be "
            "written as a script"
        )
    required = [
        name
        for name, parameter in inspect.signature(kind.__init__).parameters.items()
        if parameter.default is parameter.empty and name in config
    ]
    chosen, missing = {name: config[name] for name in required}, config
    for _ in range(3):
        made = kind.from_config({**chosen}).get_config()
        missing = {key: value for key, value in config.items() if made.get(key) != value}
        if not missing:
            break
        chosen |= missing
    else:
        raise InputError(f"layer `{entry['config']['name']}` cannot be written as a script: {missing}")
    named = [key for key in config if key in chosen and key not in required]
    return (
        tuple((key, _shown(key, chosen[key])) for key in required),
        tuple((key, _shown(key, chosen[key])) for key in named),
    )


def _shown(key: str, value: Any) -> str:
    """Return a setting as code; (3, 3) is written as 3 where both mean the same."""
    if isinstance(value, dict) and "class_name" in value:
        return _object(value)
    if isinstance(value, str):
        return f'"{value}"'
    numbers = list(_leaves(value))
    same = isinstance(value, list | tuple) and len(set(numbers)) == 1 and isinstance(numbers[0], int)
    if same and key in {"kernel_size", "strides", "pool_size", "padding", "dilation_rate"}:
        return repr(numbers[0])
    return repr(_tuples(value))


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, list | tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _object(value: dict[str, Any]) -> str:
    """Return an initializer, or what else Keras describes by class and settings."""
    settings = {key: item for key, item in value["config"].items() if item is not None}
    if value["module"] == "keras.initializers" and not settings:
        return '"' + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value["class_name"]).lower() + '"'
    arguments = ", ".join(f"{key}={_shown(key, item)}" for key, item in settings.items())
    return f"{value['module']}.{value['class_name']}({arguments})"


def _steps(calls: Sequence[Call]) -> list[Call | Block]:
    """Return the calls, those of a block as one: neighbours with one input and one output."""
    users = Counter(name for call in calls for name in call.inputs)
    groups: list[list[Call]] = []
    for call in calls:
        if groups and _prefix(call) and _prefix(groups[-1][0]) == _prefix(call):
            groups[-1].append(call)
        else:
            groups.append([call])
    steps: list[Call | Block] = []
    for group in groups:
        own = {call.name for call in group}
        outer = {name for call in group for name in call.inputs if name not in own}
        inner = Counter(name for call in group for name in call.inputs if name in own)
        closed = all(inner[call.name] == users[call.name] for call in group[:-1])
        if len(group) >= SHORTEST and len(outer) == 1 and closed:
            steps.append(Block(_prefix(group[0]), outer.pop(), tuple(group)))
        else:
            steps += group
    return steps


def _prefix(call: Call) -> str:
    found = BLOCK.match(call.name)
    return found[1] if found else ""


def _shared(blocks: Sequence[Block]) -> dict[tuple[Any, ...], tuple[str, list[Block]]]:
    """Return the blocks that come more than once, by structure, with a name for their function."""
    alike: dict[tuple[Any, ...], list[Block]] = {}
    for block in blocks:
        alike.setdefault(block.structure, []).append(block)
    several = {structure: found for structure, found in alike.items() if len(found) > 1}
    bases = {structure: re.findall(r"[a-z]{2,}", found[0].prefix)[-1] for structure, found in several.items()}
    count: Counter[str] = Counter()
    named: dict[tuple[Any, ...], tuple[str, list[Block]]] = {}
    for structure, found in several.items():
        base = bases[structure]
        count[base] += 1
        alone = list(bases.values()).count(base) == 1
        named[structure] = (f"{base}_block" if alone and base != "block" else f"{base}{count[base]}", found)
    return named


class _Function:
    """A function for all blocks of one structure; arguments that differ between them are its parameters."""

    def __init__(self, name: str, blocks: Sequence[Block]) -> None:
        self.name = name
        self.block = blocks[0]
        columns: list[tuple[str, ...]] = list(zip(*(block.values for block in blocks), strict=True))
        keys = [key for call in self.block.calls for key, _ in call.arguments]
        self._parameters: dict[tuple[str, ...], str] = {}
        for key, column in zip(keys, columns, strict=True):
            if len(set(column)) > 1 and column not in self._parameters:
                taken = sum(name.rstrip("0123456789") == key for name in self._parameters.values())
                self._parameters[column] = f"{key}{taken + 1}" if taken else key
        self._shown: list[str] = [self._parameters.get(column, column[0]) for column in columns]
        self._places = [columns.index(column) for column in self._parameters]

    def code(self) -> str:
        """Return the function as code."""
        parameters = ", ".join(["x", *self._parameters.values(), "name"])
        kinds = ", ".join(call.kind for call in self.block.calls)
        body = _Body("x", self.block.taken, self.block.calls)
        values = iter(self._shown)
        for call in self.block.calls:
            taken, end = body.take(call.inputs), call.name.removeprefix(self.block.prefix)
            name = f'f"{{name}}{end}"' if end else "name"
            body.put(call.name, taken, call.code(taken, name, [next(values) for _ in call.arguments]))
        end = f"{INDENT}return {body.variable(self.block.calls[-1].name)}"
        doc = f'{INDENT}"""{kinds}."""' if len(kinds) < 105 else f'{INDENT}"""{len(self.block.calls)} layers."""'
        return "\n".join([f"def {self.name}({parameters}):", doc, *body.lines, end])

    def call(self, block: Block, taken: str) -> str:
        """Return a call for one of the blocks as code."""
        values = [block.values[place] for place in self._places]
        return f"{self.name}({', '.join([taken, *values, _quoted(block.prefix)])})"


class _Body:
    """Lines of assignments, in which a variable is used again when its value is needed no more.

    Args:
        entry: the variable that is there at first.
        name: the name of the layer that it stands for.
        steps: all that will be written, in order.
    """

    def __init__(self, entry: str, name: str, steps: Sequence[Call | Block]) -> None:
        self.lines: list[str] = []
        self.steps = steps
        self._variables = {name: entry}
        self._users = Counter(
            taken for step in steps for taken in (step.inputs if isinstance(step, Call) else (step.taken,))
        )

    def variable(self, name: str) -> str:
        """Return the variable that holds a layer's output."""
        return self._variables[name]

    def take(self, names: Sequence[str]) -> list[str]:
        """Return the variables of layers' outputs; those that nobody needs after this become free."""
        taken = [self._variables[name] for name in names]
        self._users.subtract(names)
        for name in names:
            if self._users[name] == 0 and self._variables.get(name, ENTRY) != ENTRY:
                del self._variables[name]
        return taken

    def put(self, name: str, taken: Sequence[str], code: str) -> None:
        """Write the assignment of a layer's output, to a variable that became free if there is one."""
        used = {*self._variables.values(), ENTRY}
        self._variables[name] = next(letter for letter in [*taken, *LETTERS] if letter not in used)
        self.lines.append(f"{INDENT}{self._variables[name]} = {code}")
