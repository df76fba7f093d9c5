"""What peers are asked: generated facts, and the conversations of LoCoMo where they are at hand."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.facts import PEOPLES_FACTS, facts
from benchmarks.peers.peer import Item

ANSWERABLE = (1, 2, 3, 4)
"""Categories of LoCoMo whose questions have an answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and the ids of the items that answer it."""

    text: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True)
class Collection:
    """Items that are one memory, in order of time, and what is asked about them."""

    items: Sequence[Item]
    questions: Sequence[Question]


def fact_questions(count: int, seed: int) -> list[Collection]:
    """The facts of benchmarks/facts.py among their near misses, each asked for once."""
    choose = random.Random(seed)  # noqa: S311 - texts, not secrets
    made = facts(PEOPLES_FACTS, count, choose)
    items = [Item(f"fact {n}", fact.text) for n, fact in enumerate(made)]
    items += [Item(f"near {n}", text) for n, text in enumerate(PEOPLES_FACTS.near_misses(choose))]
    choose.shuffle(items)  # what answers must not come first where all are alike
    asked = [Question(fact.question, frozenset([f"fact {n}"])) for n, fact in enumerate(made)]
    return [Collection(items, asked)]


def locomo_questions(harness: Path) -> list[Collection]:
    """The development conversations: every turn an item, every answerable question."""
    read = [json.loads(path.read_text("utf-8")) for path in sorted(harness.glob("data/dev/*.json"))]
    return [
        Collection(
            [
                Item(
                    turn["id"],
                    turn["text"],
                    turn["speaker"],
                    str(turn["session"]),
                    turn["timestamp"],
                )
                for turn in conversation["docs"]
            ],
            [
                Question(asked["query"], frozenset(asked["relevant"]))
                for asked in conversation["queries"]
                if asked["category"] in ANSWERABLE
            ],
        )
        for conversation in read
    ]
