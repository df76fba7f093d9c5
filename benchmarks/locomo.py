"""How well is the right memory found, through the real server?

Question: with default settings, over stdio, does archival_memory_search find the evidence of
questions about long conversations? Every dialogue turn is one passage (text, author, session,
date); recall@10 is the mean share of a question's evidence among the first ten hits. Goals:
recall@10 ≥ 0.80, MRR ≥ 0.60, adversarial recall@10 ≥ 0.88. What each part of the ranking brings:
locomo_ablation.py.

    python -m benchmarks.locomo PATH [--limit N]

PATH is a folder with the harness (eval_retrieval.py, mcp_stdio.py, adapters.py) and the data
(data/dev/*.json). The LoCoMo data is CC BY-NC 4.0 and never part of this repository. Baselines in
the same run: the harness's own BM25, and the substring search that plain memory servers do.

Prints one JSON line: recall, MRR and latency of the whole call (ms, p50 and p95) for each.
"""

import argparse
import importlib
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks.report import Report, print_line, say

GOALS = {"mnemon": {"recall_at_10": 0.80, "mrr": 0.60, "adversarial_recall_at_10": 0.88}}

SERVER = {
    "command": [str(Path(sys.executable).with_name("mnemon")), "mcp"],
    "env": {"MNEMON_DATA": "{tmp}/data"},
    "setup": [{"tool": "agent_create", "args": {"name": "bench"}, "save": {"agent": "id"}}],
    "add": {
        "tool": "archival_memory_insert",
        "args": {
            "agent_id": "{agent}",
            "content": "{text}",
            "author": "{speaker}",
            "session": "{session}",
            "occurred_at": "{timestamp}",
        },
    },
    "search": {
        "tool": "archival_memory_search",
        "args": {"agent_id": "{agent}", "query": "{query}", "top_k": "{k}"},
    },
    "result": {"path": "results", "id": "id", "added_id": "id"},
    "timeout_s": 60,
}


def evaluate(harness: Path, limit: int | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Run the harness over the server and both baselines; figures, and how many questions."""
    sys.path.insert(0, str(harness))
    evaluation = importlib.import_module("eval_retrieval")
    adapters = importlib.import_module("adapters")
    over_stdio = importlib.import_module("mcp_stdio").McpStdio
    conversations = evaluation.load("dev", harness / "data")
    systems = {
        "mnemon": over_stdio(SERVER),
        "bm25": adapters.BM25("dated"),
        "substring": adapters.Substring(),
    }
    found = {}
    for name, adapter in systems.items():
        say(name)
        result = evaluation.evaluate(adapter, conversations, quiet=False, limit=limit)
        found[name] = summary(result)
    questions = sum(len(conversation["queries"][:limit]) for conversation in conversations)
    return found, {"split": "dev", "questions": questions}


def summary(result: dict[str, Any]) -> dict[str, Any]:
    """The figures worth printing of one system."""
    answerable = result["overall_1_4"]
    conversations = [figures["R@10"] for figures in result["by_conversation"].values()]
    return {
        "recall_at_5": round(answerable["R@5"], 3),
        "recall_at_10": round(answerable["R@10"], 3),
        "recall_at_20": round(answerable["R@20"], 3),
        "mrr": round(answerable["MRR"], 3),
        "adversarial_recall_at_10": round(result["by_category"]["adversarial"]["R@10"], 3)
        if "adversarial" in result["by_category"]
        else None,
        "recall_at_10_by_conversation": {
            "min": round(min(conversations), 3),
            "median": round(statistics.median(conversations), 3),
            "max": round(max(conversations), 3),
        },
        "add_ms": round(result["add_ms_per_doc"], 2),
        "search_ms": {name: round(result[f"search_ms_{name}"], 2) for name in ("p50", "p95")},
    }


def main() -> None:
    """Evaluate and print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("path", type=Path, help="folder of the harness and its data")
    parser.add_argument("--limit", type=int, help="only the first N questions of each conversation")
    options = parser.parse_args()
    if not (options.path / "eval_retrieval.py").is_file():
        parser.error(f"{options.path} does not hold eval_retrieval.py")
    figures, sizes = evaluate(options.path, options.limit)
    packages = ("duckdb", "numpy", "onnxruntime", "mcp")
    print_line(Report("locomo", figures, sizes, GOALS, packages=packages))


if __name__ == "__main__":
    main()
