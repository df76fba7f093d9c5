"""What is measured of peers, and what becomes of those that cannot be had."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.peers.__main__ import found_figures, measure, ranks_of
from benchmarks.peers.in_process import cosine, grep
from benchmarks.peers.over_stdio import content_words, server_memory_whole
from benchmarks.peers.peer import Absent, Item, Peer
from benchmarks.peers.questions import (
    Collection,
    Question,
    fact_questions,
    locomo_questions,
)

ITEMS = (
    Item("cat", "My cat is called Ziggy."),
    Item("town", "I grew up in Ghent.", author="Ada", occurred_at="2023-05-08T13:56:00+00:00"),
    Item("dog", "The dog of my sister is called Pickle."),
)
ASKED = Collection(ITEMS, [Question("Who is Pickle, the dog?", frozenset(["dog"]))])


@contextmanager
def absent() -> Iterator[Peer]:
    raise Absent("nobody sells it")
    yield


def test_recall_and_rank_are_those_counted_by_hand() -> None:
    ranks = [
        ranks_of(["a", "b", "c"], frozenset(["b"])),
        ranks_of(["a", "b", "c"], frozenset(["a", "z"])),
        ranks_of([], frozenset(["a"])),
    ]
    assert ranks == [[2], [1, None], [None]]
    assert found_figures(ranks) == {
        "recall_at_1": round((0 + 0.5 + 0) / 3, 3),
        "recall_at_5": round((1 + 0.5 + 0) / 3, 3),
        "recall_at_10": round((1 + 0.5 + 0) / 3, 3),
        "mrr": round((1 / 2 + 1 + 0) / 3, 3),
    }


def test_a_peer_that_cannot_be_had_is_named_and_the_others_are_measured() -> None:
    found = measure({"none": absent, "grep": grep}, {"facts": [ASKED, ASKED]})
    assert found["facts"]["none"] == "left out: nobody sells it"
    assert found["facts"]["grep"]["recall_at_1"] == 1
    assert found["facts"]["grep"]["search_ms"].keys() == {"p50", "p95"}


def test_without_node_server_memory_is_absent_and_the_reason_names_no_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Absent) as caught, server_memory_whole():
        pass
    assert str(caught.value) == "npm is missing or cannot install it"


def test_cosine_finds_what_is_said_in_other_words() -> None:
    with cosine() as peer:
        peer.reset()
        peer.add(ITEMS)
        assert peer.search("In which city was she a child?", 2)[0] == "town"


def test_grep_counts_different_words_and_asks_for_no_function_words() -> None:
    assert content_words("What is the dog of my sister called?") == ["dog", "sister", "called"]
    with grep() as peer:
        peer.reset()
        peer.add(ITEMS)
        assert peer.search("What is the dog of my sister called?", 10) == ["dog", "cat"]
        assert peer.search("In May?", 10) == ["town"]


def test_peers_that_take_a_text_only_get_author_and_day_in_it() -> None:
    assert ITEMS[1].whole == "[8 May 2023] Ada: I grew up in Ghent."


def test_the_same_seed_gives_the_same_facts_in_an_order_that_tells_nothing() -> None:
    (one,), (again,), (other,) = (fact_questions(20, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert sorted(item.id for item in one.items) != [item.id for item in one.items]
    assert {name for asked in one.questions for name in asked.relevant} <= {
        item.id for item in one.items
    }


def test_of_a_conversation_the_answerable_questions_are_asked(tmp_path: Path) -> None:
    turn = {"id": "D1:1", "text": "Hi!", "speaker": "Ada", "session": 1}
    turn |= {"timestamp": "2023-05-08T13:56:00+00:00"}
    asked = [
        {"query": "Who said hi?", "category": 4, "relevant": ["D1:1"]},
        {"query": "Why did Bob leave?", "category": 5, "relevant": ["D1:1"]},
    ]
    (tmp_path / "data" / "dev").mkdir(parents=True)
    (tmp_path / "data" / "dev" / "c.json").write_text(
        json.dumps({"docs": [turn], "queries": asked})
    )
    (read,) = locomo_questions(tmp_path)
    assert read.questions == [Question("Who said hi?", frozenset(["D1:1"]))]
    assert read.items == [Item("D1:1", "Hi!", "Ada", "1", "2023-05-08T13:56:00+00:00")]
