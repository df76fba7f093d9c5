"""Are single facts found when the question puts them in other words?

Question: of generated facts that stand alone, without author, session or date, how often is the one
that answers a paraphrased question first, or among the first five? Beside each fact are near
misses: the same of somebody else, other facts of the same person, the same of a relative, and a
question about it. The baseline, in the same run, is the plain sum of both searches' z-scores.

    python -m benchmarks.facts [--facts 500] [--seed 20260331]

Measured three times: in an archive of facts only, in one that also holds a conversation with
sessions about the same people, and with the notes of work_notes.py, on which no weight was chosen
and whose near misses are nastier. Prints one JSON line.
"""

import argparse
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import work_notes
from benchmarks.ranking_variants import ORIGIN, VARIANTS, rank, read_case
from benchmarks.report import Report, print_line
from memory import agents, archival
from memory.agents import NewAgent
from memory.embedders.factory import load_embedder
from memory.records import NewPassage
from memory.store import MemoryStore

SEED = 20_260_331
SHOWN = (
    "full",
    "without subject",
    "what only asks is as what asks",
    "without words",
    "without meaning",
    "plain sum of z-scores",
)

PEOPLE = (
    "Amara Bruno Celia Dmitri Elif Farid Greta Hugo Ines Jonas Keiko Lars Mina Nadia Otto Priya"
    " Quentin Rosa Samir Tessa"
).split()

FOODS = "peanuts shellfish celery lupins mustard sesame kiwis almonds".split()
TOWNS = "Lisbon Tromso Ghent Oaxaca Perth Kyoto Tunis Quito".split()
JOBS = "carpenter midwife notary welder pharmacist surveyor beekeeper translator".split()
INSTRUMENTS = "cello trombone accordion harp bassoon lute oboe banjo".split()
PETS = "Biscuit Pickle Waffles Shadow Pepper Clover Ziggy Marble".split()
HOURS = "five six seven eight".split()
COLOURS = "turquoise maroon beige violet crimson olive".split()
SUMS = "40 85 120 230 375 610".split()

TOPICS: Sequence[tuple[str, str, Sequence[str]]] = (
    ("{who} is allergic to {what}.", "Which food makes {who} ill?", FOODS),
    ("{who} grew up in {what}.", "Where did {who} spend childhood?", TOWNS),
    ("{who} works as a {what}.", "What is {who}'s profession?", JOBS),
    ("{who} plays the {what}.", "Which musical instrument has {who} mastered?", INSTRUMENTS),
    ("{who} has a dog named {what}.", "What does {who} call the pet?", PETS),
    ("{who} gets up at {what} every morning.", "When does {who} wake from sleep?", HOURS),
    ("{who} painted the kitchen {what}.", "Which colour are {who}'s walls?", COLOURS),
    ("{who} paid {what} euros for a bicycle.", "How much money did {who}'s bike cost?", SUMS),
    ("{who} married in {what}.", "In which city was {who}'s wedding?", TOWNS),
    ("{who} cannot stand {what}.", "What does {who} dislike eating?", FOODS),
    ("{who} sold the old car for {what} euros.", "What price did {who}'s vehicle get?", SUMS),
    ("{who} wants to become a {what}.", "What career does {who} dream of?", JOBS),
    ("{who} lost the passport in {what}.", "Where did {who}'s travel document vanish?", TOWNS),
    ("{who} bought a {what} coat.", "What shade is {who}'s new jacket?", COLOURS),
    ("{who} is learning the {what}.", "Which music lessons does {who} take?", INSTRUMENTS),
    ("{who} has rented a flat in {what}.", "Where is {who}'s apartment?", TOWNS),
    ("{who} eats supper at {what}.", "At what time does {who} have dinner?", HOURS),
    ("{who} owes the bank {what} euros.", "How large is {who}'s debt?", SUMS),
    ("{who} adopted a kitten called {what}.", "What name did {who} give the young cat?", PETS),
    ("{who} bakes bread with {what}.", "What does {who} put into the dough?", FOODS),
    ("{who} flies to {what} on business.", "Which place does {who} visit for work?", TOWNS),
    ("{who} shares an office with a {what}.", "Who sits in the same room as {who}?", JOBS),
    ("{who} closes the shop at {what}.", "Until when is {who}'s store open?", HOURS),
    ("{who} dyed the hair {what}.", "What does {who}'s head look like now?", COLOURS),
    ("{who} inherited a {what}.", "What did {who}'s late aunt leave behind?", INSTRUMENTS),
)

CHAT = (
    "How have you been, {who}?",
    "I am tired, the {what} took all day.",
    "{who} told me about it, too.",
    "We should go to {what} again.",
    "Did {who} like the {what}?",
    "Yes, and then we talked about {what} for hours.",
    "That sounds good to me.",
    "Let us ask {who} next week.",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact, and a question that it answers in other words."""

    text: str
    question: str


@dataclass(frozen=True, slots=True)
class Kind:
    """What facts are made of. ending: what a text may add that answers nothing."""

    subjects: Sequence[str]
    topics: Sequence[tuple[str, str, Sequence[str]]]
    near_misses: Callable[[random.Random], Iterator[str]]
    ending: Callable[[random.Random], str] = lambda _: ""


def facts(kind: Kind, count: int, choose: random.Random) -> list[Fact]:
    """Different facts about the subjects, in no order."""
    pairs = [(who, topic) for who in kind.subjects for topic in kind.topics]
    return [
        Fact(
            said.format(who=who, what=choose.choice(values)) + kind.ending(choose),
            asked.format(who=who),
        )
        for who, (said, asked, values) in choose.sample(pairs, min(count, len(pairs)))
    ]


def near_misses(choose: random.Random) -> Iterator[str]:
    """What is nearly an answer: about a relative of somebody, or asked instead of told."""
    for who in PEOPLE:
        for said, _, values in choose.sample(TOPICS, 5):
            relative = choose.choice(["sister", "neighbour", "boss", "uncle"])
            yield said.format(who=f"{who}'s {relative}", what=choose.choice(values))
        _, asked, _ = choose.choice(TOPICS)
        yield asked.format(who=who)


PEOPLES_FACTS = Kind(PEOPLE, TOPICS, near_misses)
WORK_NOTES = Kind(work_notes.PROJECTS, work_notes.TOPICS, work_notes.near_misses, work_notes.ending)


def conversation(choose: random.Random) -> Iterator[NewPassage]:
    """Small talk about the same people and things, in sessions."""
    things = [*FOODS, *TOWNS, *INSTRUMENTS]
    for session in range(20):
        for _ in range(20):
            line = choose.choice(CHAT)
            said = line.format(who=choose.choice(PEOPLE), what=choose.choice(things))
            yield NewPassage(said, author=choose.choice(PEOPLE[:2]), session=f"chat {session}")


def measure(
    store: MemoryStore, name: str, made: Sequence[Fact], besides: Sequence[NewPassage]
) -> Any:
    """Archive the facts among the rest and ask for each; the figures of every ranking."""
    with store.write(ORIGIN) as transaction:
        agent = agents.create_agent(transaction, NewAgent(name))
        told = archival.insert_passages(transaction, agent, [NewPassage(f.text) for f in made])
        archival.insert_passages(transaction, agent, besides)
    store.embedding.settle(None, timeout_s=600)
    ranks: dict[str, list[int | None]] = {variant: [] for variant in SHOWN}
    for passage, fact in zip(told, made, strict=True):
        case = read_case(store, agent.archive_key, fact.question)
        for variant in SHOWN:
            found = rank(case, VARIANTS[variant])
            ranks[variant].append(found.index(passage.doc) + 1 if passage.doc in found else None)
    return {variant: figures(places) for variant, places in ranks.items()}


def figures(places: Sequence[int | None]) -> dict[str, float]:
    """Recall at 1 and 5 and the mean reciprocal rank; None: not found."""
    return {
        "recall_at_1": round(statistics.fmean(place == 1 for place in places), 3),
        "recall_at_5": round(statistics.fmean((place or 99) <= 5 for place in places), 3),
        "mrr": round(statistics.fmean(1 / place if place else 0.0 for place in places), 3),
    }


def main() -> None:
    """Measure and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--facts", type=int, default=500, help="how many, at most 500")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    embedder = load_embedder("minilm")
    with MemoryStore(None, lambda: embedder) as store:
        found = {}
        for name, kind in (("facts", PEOPLES_FACTS), ("work_notes", WORK_NOTES)):
            choose = random.Random(options.seed)  # noqa: S311 - texts, not secrets
            made = facts(kind, options.facts, choose)
            besides = [NewPassage(text) for text in kind.near_misses(choose)]
            found[name] = measure(store, name, made, besides)
            if kind is PEOPLES_FACTS:
                chat = conversation(choose)
                found["facts_in_conversation"] = measure(store, "mixed", made, [*besides, *chat])
    sizes = {"facts": options.facts}
    packages = ("duckdb", "numpy", "onnxruntime")
    print_line(Report("facts", found, sizes, seed=options.seed, packages=packages))


if __name__ == "__main__":
    main()
