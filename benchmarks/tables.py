"""From a line (report.py) to Markdown: tables of its figures, and what they were measured on.

Pure functions, and one rule for every benchmark: mappings that have figures of the same names are
rows of one table, single figures are rows of a table with two columns, everything else is a table
of its own. A spread is "median (quartiles, other percentiles)"; a goal stands beside its figure.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

Figures: TypeAlias = Mapping[str, Any]

_SPREAD = re.compile(r"p\d+|min|median|max")


def as_markdown(line: Figures) -> str:
    """All tables of a line, and the sentence that says where they come from."""
    return "\n\n".join([provenance(line), *_tables("", line["figures"], line["goals"])])


def provenance(line: Figures) -> str:
    """When and on what it was measured, with which versions and sizes."""
    machine, load = line["machine"], line["load"]
    parts = [
        f"Measured {line['measured_at'][:10]}",
        f"{machine['cpu']}, {machine['cpus']} CPUs, {machine['memory_gb']} GB, {machine['system']}",
        f"load {load['at_start']} before, {load['at_end']} after",
        ", ".join(f"{name} {version}" for name, version in line["versions"].items()),
        ", ".join(f"{_label(name)} {_value(value)}" for name, value in line["sizes"].items()),
    ]
    if line["seed"] is not None:
        parts.append(f"seed {line['seed']}")
    return f"*{'; '.join(part for part in parts if part)}.*"


def _tables(title: str, figures: Figures, goals: Figures) -> Iterator[str]:
    """Single figures first, then mappings, alike ones together."""
    nested = {name: value for name, value in figures.items() if not is_leaf(value)}
    leaves = {name: value for name, value in figures.items() if name not in nested}
    groups = _alike(nested)
    if leaves and len(groups) == 1 and _has_leaf(nested[groups[0][0]]) and _are_words(leaves):
        # Words in the place of figures: why there are none.
        groups, leaves = [[*groups[0], *leaves]], {}
    if leaves:
        rows = [[_label(name), _cell(value, goals.get(name))] for name, value in leaves.items()]
        yield _table([title or "figure", "value"], rows)
    for group in groups:
        if len(group) > 1:
            yield _matrix(title, {name: figures[name] for name in group}, goals)
        else:
            (name,) = group
            under = f"{title}, {_label(name)}" if title else _label(name)
            yield from _tables(under, figures[name], goals.get(name, {}))


def _matrix(title: str, rows: Figures, goals: Figures) -> str:
    flat = {
        name: _flat(value) if isinstance(value, Mapping) else {} for name, value in rows.items()
    }
    columns = list(dict.fromkeys(column for cells in flat.values() for column in cells))
    shown = []
    for name, cells in flat.items():
        own = _flat(goals.get(name, {}))
        values = [_cell(cells[c], own.get(c)) if c in cells else "" for c in columns]
        if not cells:
            values[0] = _value(rows[name])
        shown.append([_label(name), *values])
    return _table([title, *map(_label, columns)], shown)


def _alike(nested: Figures) -> list[list[str]]:
    """Names of mappings, those together that belong into one table."""
    groups: list[list[str]] = []
    for name, value in nested.items():
        first = nested[groups[-1][0]] if groups else {}
        if groups and _has_leaf(first) and _has_leaf(value) and _overlap(first, value):
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _overlap(one: Figures, other: Figures) -> bool:
    fewer = min(len(one), len(other))
    return fewer > 0 and 2 * len(one.keys() & other.keys()) >= fewer


def _has_leaf(figures: Figures) -> bool:
    return any(is_leaf(value) for value in figures.values())


def _are_words(leaves: Figures) -> bool:
    return all(isinstance(value, str) for value in leaves.values())


def is_leaf(value: object) -> bool:
    """Whether it is one figure: a number, a word, some numbers, a spread."""
    if isinstance(value, Mapping):
        return bool(value) and all(_SPREAD.fullmatch(name) for name in value)
    return True


def _flat(figures: Figures, before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in figures.items():
        if is_leaf(value):
            found[before + name] = value
        else:
            found |= _flat(value, f"{before}{name}, ")
    return found


def _cell(value: object, goal: object) -> str:
    return _value(value) if goal is None else f"{_value(value)}, goal {_value(goal)}"


def _value(value: object) -> str:
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.3f}".rstrip("0").rstrip(".")
        case Mapping():
            return _spread(value)
        case str():
            return " ".join(value.split()).replace("|", "\\|")
        case Sequence():
            return " ".join(map(_value, value))
    raise TypeError(f"{value!r} is no figure")


def _spread(values: Figures) -> str:
    middle = "p50" if "p50" in values else "median"
    within = []
    if {"p25", "p75"} <= values.keys():
        within.append(f"{_value(values['p25'])} to {_value(values['p75'])}")
    if {"min", "max"} <= values.keys():
        within.append(f"{_value(values['min'])} to {_value(values['max'])}")
    used = {middle, "p25", "p75", "min", "max"}
    within += [f"{name} {_value(value)}" for name, value in values.items() if name not in used]
    return f"{_value(values.get(middle))} ({', '.join(within)})"


def _label(name: str) -> str:
    return re.sub(r"_at_(\d+)", r"@\1", name).replace("_", " ").replace("|", "\\|")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
