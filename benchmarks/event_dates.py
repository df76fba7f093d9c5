"""Is found what happened some time before or after an event that is itself in memory?

Question: of 50 events, each told on the day it happened, with notes of eight days around each, how
often is the note that answers "What did Bruno do two weeks before the wedding of Celia?" first, or
among the first five? Nothing in the right note says of which event it is, nor how far away;
other notes of the same person are of other days. Each event is also talked about on other days. The
baseline, in the same run, is the same search without the days that it counts from an event.

    python -m benchmarks.event_dates [--events 50] [--seed 20260331]

Prints one JSON line: R@1, R@5 and MRR, how many events were found at all, and on the right day, and
ms of CPU for each search, with and without the second one.
"""

import argparse
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

from benchmarks.facts import PEOPLE, SEED, figures
from benchmarks.ranking_variants import ORIGIN
from benchmarks.report import Report, print_line
from memory import agents, archival
from memory.agents import NewAgent
from memory.embedders.factory import load_embedder
from memory.records import Agent, NewPassage
from memory.search_pages import Query
from memory.store import MemoryStore

EVENTS = (
    ("the wedding of {who}", "{who} and the whole family: today was the wedding."),
    ("{who}'s driving test", "{who} passed the driving test this afternoon."),
    ("the flood in {who}'s cellar", "The flood reached the cellar of {who} during the night."),
    ("{who}'s operation", "{who} had the operation, and all went well."),
    ("the house move of {who}", "{who} moved into the new house with three vans."),
    ("{who}'s concert", "{who} gave the concert in a full hall."),
    ("the burglary at {who}'s shop", "Burglars broke into the shop of {who}."),
    ("{who}'s graduation", "{who} graduated, with the cap thrown into the air."),
    ("the marathon of {who}", "{who} ran the marathon to the end."),
    ("{who}'s job interview", "{who} came home from the job interview at the bank."),
)
TALK = (
    "{who} talks of nothing but {event}.",
    "Everybody asks {who} about {event}.",
)
DEEDS = (
    "baked a plum cake", "repaired the bicycle", "went to the dentist", "planted two trees",
    "painted the fence", "lost a purse", "cooked soup for the neighbours", "flew a kite",
    "sorted old photographs", "borrowed a ladder", "bought a piano", "sang in the choir",
    "visited the lighthouse", "sewed a curtain", "won a game of chess", "rode to the lake",
)  # fmt: skip
SPANS = (
    ("three days before", -3), ("the day after", 1), ("a week before", -7), ("ten days after", 10),
    ("two weeks before", -14), ("three weeks after", 21), ("a month after", 30),
    ("two months before", -60),
)  # fmt: skip
FIRST = date(2024, 1, 10)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, the day of the event that it counts from, and the note that answers it."""

    question: str
    day: date
    answer: str


def noted(text: str, day: date) -> NewPassage:
    """A note of a day."""
    return NewPassage(text, occurred_at=datetime(day.year, day.month, day.day, 18, tzinfo=UTC))


def memory(events: int, choose: random.Random) -> tuple[list[NewPassage], list[Asked]]:
    """Notes, in no order, and the questions."""
    pairs = [(who, event) for who in PEOPLE for event in EVENTS]
    notes, asked = list[NewPassage](), list[Asked]()
    for who, (named, told) in choose.sample(pairs, events):
        day = FIRST + timedelta(choose.randrange(700))
        event = named.format(who=who)
        notes.append(noted(told.format(who=who), day))
        notes += talk(who, event, day, choose)
        doer = choose.choice([other for other in PEOPLE if other != who])
        deeds = choose.sample(DEEDS, len(SPANS))
        for deed, (_, days) in zip(deeds, SPANS, strict=True):
            notes.append(noted(f"{doer} {deed}.", day + timedelta(days)))
        deed, (span, _) = choose.choice(list(zip(deeds, SPANS, strict=True)))
        asked.append(Asked(f"What did {doer} do {span} {event}?", day, f"{doer} {deed}."))
    choose.shuffle(notes)
    return notes, asked


def talk(who: str, event: str, day: date, choose: random.Random) -> Iterator[NewPassage]:
    """What is said of an event on other days."""
    for line in TALK:
        said = line.format(who=who, event=event.replace(f"{who}'s", "the").replace(who, "the two"))
        yield noted(said, day + timedelta(choose.choice([-40, -25, -9, 12, 35])))


def ask(store: MemoryStore, agent: Agent, asked: Sequence[Asked]) -> dict[str, Any]:
    """The figures of the search as it is now."""
    places, found, right, taken = list[int | None](), 0, 0, list[float]()
    for one in asked:
        began = time.process_time()
        with store.read() as reader:
            query = Query(agent.archive_key, one.question, limit=50)
            hits, page = store.search_passages(reader, query)
        taken.append(1e3 * (time.process_time() - began))
        texts = [hit.passage.text for hit in hits]
        places.append(texts.index(one.answer) + 1 if one.answer in texts else None)
        if page.meant is not None:
            found += 1
            right += one.answer in [hit.passage.text for hit in hits if hit.why.date > 0]
    return {
        **figures(places),
        "events_found": found,
        "on_the_right_day": right,
        "search_cpu_ms": round(statistics.median(taken), 1),
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=50, help="how many, at most 200")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    notes, asked = memory(options.events, random.Random(options.seed))  # noqa: S311 - texts
    embedder = load_embedder("minilm")
    with MemoryStore(None, lambda: embedder) as store:
        with store.write(ORIGIN) as transaction:
            agent = agents.create_agent(transaction, NewAgent("events"))
            archival.insert_passages(transaction, agent, notes)
        store.embedding.settle(None, timeout_s=600)
        ask(store, agent, asked[:5])
        with patch("memory.search.meant_days", lambda *_: None):
            before = ask(store, agent, asked)
        after = ask(store, agent, asked)
    sizes = {"events": len(asked), "notes": len(notes)}
    figures = {"mnemon": after, "without": before}
    packages = ("duckdb", "numpy", "onnxruntime")
    print_line(Report("event_dates", figures, sizes, seed=options.seed, packages=packages))


if __name__ == "__main__":
    main()
