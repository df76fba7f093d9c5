"""What does each part of the ranking bring on long conversations, and what does it cost?

Question: recall@10 and MRR of the full ranking on LoCoMo, and of the ranking without each of its
parts, down to the plain sum of both searches' z-scores, which is the baseline. Each conversation is
an archive in a real store, filled with the product's code; candidates are read once for each
question, and every variant then ranks them in memory.

    python -m benchmarks.locomo_ablation PATH [--window-vectors]

PATH is the folder that benchmarks/locomo.py takes, too. --window-vectors also embeds, for each
turn, the turn with those before and after it, to see what vectors of windows would bring.

Prints one JSON line: for each variant recall, MRR, adversarial recall and the difference of its
recall@10 to the full ranking, with a paired 95 % bootstrap interval; and ms per question (p50, p95)
of reading the candidates and of ranking them.
"""

import argparse
import importlib
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ranking_variants import ORIGIN, VARIANTS, Case, Variant, rank, read_case, scores
from benchmarks.report import Report, print_line, say, spread
from memory import agents, archival
from memory.agents import NewAgent
from memory.embedder import Embedder
from memory.embedders.factory import load_embedder
from memory.fusion import WEIGHTS, fuse
from memory.records import NewPassage
from memory.store import MemoryStore

FULL = "full"
Ranking = Callable[[Case], list[int]]


@dataclass(frozen=True, slots=True)
class Question:
    """A question of a conversation, what was read for it, and its evidence among the turns.

    turns: the documents of the whole conversation, in order.
    """

    id: str
    category: int
    conversation: str
    case: Case
    relevant: tuple[int, ...]
    turns: tuple[int, ...]


def read_questions(store: MemoryStore, conversation: dict[str, Any]) -> list[Question]:
    """Archive a conversation and read the candidates of all its questions."""
    with store.write(ORIGIN) as transaction:
        agent = agents.create_agent(transaction, NewAgent(conversation["conversation"]))
        stored = archival.insert_passages(
            transaction, agent, [passage_of(turn) for turn in conversation["docs"]]
        )
    store.embedding.settle(None, timeout_s=600)
    docs = {turn["id"]: p.doc for turn, p in zip(conversation["docs"], stored, strict=True)}
    return [
        Question(
            query["id"],
            query["category"],
            conversation["conversation"],
            read_case(store, agent.archive_key, query["query"]),
            tuple(docs[turn] for turn in query["relevant"] if turn in docs),
            tuple(docs.values()),
        )
        for query in conversation["queries"]
    ]


def passage_of(turn: dict[str, Any]) -> NewPassage:
    """A turn as benchmarks/locomo.py archives it."""
    moment = datetime.fromisoformat(turn["timestamp"])
    return NewPassage(
        turn["text"],
        author=turn["speaker"],
        session=str(turn["session"]),
        occurred_at=moment if moment.tzinfo else moment.replace(tzinfo=UTC),
    )


def evaluate(evaluation: Any, questions: Sequence[Question], ranking: Ranking) -> dict[str, Any]:
    """Rank for every question; the harness's own metrics, in the form its bootstrap takes."""
    rows = [
        {
            "id": q.id,
            "category": q.category,
            "conv": q.conversation,
            **evaluation.metrics(ranking(q.case)[: evaluation.MAXK], q.relevant),
        }
        for q in questions
    ]
    return {"per_query": rows}


def summary(evaluation: Any, result: dict[str, Any], full: dict[str, Any]) -> dict[str, Any]:
    """The figures worth printing of one variant."""
    rows = result["per_query"]
    answerable = [row for row in rows if row["category"] in evaluation.ANSWERABLE]
    by_conversation: dict[str, list[float]] = {}
    for row in answerable:
        by_conversation.setdefault(row["conv"], []).append(row["R@10"])
    conversations = [statistics.fmean(recalls) for recalls in by_conversation.values()]
    difference = evaluation.bootstrap_diff(full, result)
    return {
        "recall_at_5": mean(answerable, "R@5"),
        "recall_at_10": mean(answerable, "R@10"),
        "recall_at_20": mean(answerable, "R@20"),
        "mrr": mean(answerable, "MRR"),
        "recall_at_10_minus_full": [round(value, 3) for value in difference],
        "recall_at_10_by_category": {
            name: mean([row for row in rows if row["category"] == number], "R@10")
            for number, name in evaluation.NAMES.items()
        },
        "recall_at_10_by_conversation": {
            "min": round(min(conversations), 3),
            "median": round(statistics.median(conversations), 3),
            "max": round(max(conversations), 3),
        },
    }


def mean(rows: Sequence[dict[str, Any]], metric: str) -> float:
    """The mean of a metric."""
    return round(statistics.fmean(row[metric] for row in rows), 3)


def ranking_ms(questions: Sequence[Question]) -> list[float]:
    """How long the full ranking takes for each question."""
    taken = []
    for question in questions:
        began = time.perf_counter()
        rank(question.case, VARIANTS[FULL])
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def windows(
    embedder: Embedder, conversations: Sequence[dict[str, Any]], questions: Sequence[Question]
) -> Iterator[tuple[str, Ranking]]:
    """Rankings that compare vectors of windows, alone and beside those of the turns."""
    cosines: dict[str, dict[int, float]] = {}
    for conversation in conversations:
        vectors = [embedder.embed([text], "passage")[0] for text in windows_of(conversation)]
        for q in questions:
            if q.conversation == conversation["conversation"]:
                asked = embedder.embed([q.case.asked.text], "query")[0]
                cosines[q.case.asked.text] = {
                    doc: float(vector @ asked) for doc, vector in zip(q.turns, vectors, strict=True)
                }

    def ranking(case: Case, share: float) -> list[int]:
        own = cosines[case.asked.text]
        scored = scores(case, WEIGHTS.context)
        windows = np.asarray([own[doc] for doc in scored.texts.doc.tolist()])
        turns = np.nan_to_num(scored.texts.cosine)
        mixed = replace(scored, cosine_in_context=share * windows + (1 - share) * turns)
        return [hit.doc for hit in fuse(case.asked, [mixed])]

    yield "vectors of windows", lambda case: ranking(case, 1.0)
    yield "vectors of windows and of turns", lambda case: ranking(case, 0.5)
    yield "vectors of turns alone, words in context", lambda case: ranking(case, 0.0)


def windows_of(conversation: dict[str, Any]) -> list[str]:
    """Each turn with the one before and the one after it in its session."""
    turns = conversation["docs"]
    said = [f"{turn['speaker']}: {turn['text']}" for turn in turns]
    return [
        "\n".join(
            said[j]
            for j in (i - 1, i, i + 1)
            if 0 <= j < len(turns) and turns[j]["session"] == turns[i]["session"]
        )
        for i in range(len(turns))
    ]


def run(harness: Path, window_vectors: bool) -> dict[str, Any]:
    """Read everything, then evaluate every variant."""
    sys.path.insert(0, str(harness))
    evaluation = importlib.import_module("eval_retrieval")
    conversations = evaluation.load("dev", harness / "data")
    embedder = load_embedder("minilm")
    questions: list[Question] = []
    with MemoryStore(None, lambda: embedder) as store:
        for conversation in conversations:
            questions += read_questions(store, conversation)
            say(conversation["conversation"])
    rankings: dict[str, Ranking] = {
        name: _ranking_of(variant) for name, variant in VARIANTS.items()
    }
    if window_vectors:
        rankings |= dict(windows(embedder, conversations, questions))
    results = {name: evaluate(evaluation, questions, ranking) for name, ranking in rankings.items()}
    candidates = [len(question.case.found.texts) for question in questions]
    return {
        "questions": len(questions),
        "variants": {
            name: summary(evaluation, result, results[FULL]) for name, result in results.items()
        },
        "candidates": spread([float(count) for count in candidates], 50, 95),
        "gather_ms": spread([question.case.gather_ms for question in questions], 50, 95),
        "rank_ms": spread(ranking_ms(questions), 50, 95),
    }


def _ranking_of(variant: Variant) -> Ranking:
    return lambda case: rank(case, variant)


def main() -> None:
    """Evaluate and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("path", type=Path, help="folder of the harness and its data")
    parser.add_argument("--window-vectors", action="store_true", help="try vectors of windows, too")
    options = parser.parse_args()
    if not (options.path / "eval_retrieval.py").is_file():
        parser.error(f"{options.path} does not hold eval_retrieval.py")
    figures = run(options.path, options.window_vectors)
    sizes = {"split": "dev", "questions": figures.pop("questions")}
    packages = ("duckdb", "numpy", "onnxruntime")
    print_line(Report("locomo_ablation", figures, sizes, packages=packages))


if __name__ == "__main__":
    main()
