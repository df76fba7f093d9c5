"""The order in which hits are shown: its laws, and its parts by hand."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memory.fusion import Candidate, fuse


def candidate(doc: int, bm25: float = 0.0, cosine: float | None = None) -> Candidate:
    return Candidate(doc, bm25, cosine, session=None, sequence=None, author=None)


scores = st.integers(0, 1000).map(lambda n: n / 50)
cosines = st.none() | st.integers(-1000, 1000).map(lambda n: n / 1000)
candidates = st.lists(
    st.builds(
        Candidate,
        doc=st.integers(1, 10_000),
        bm25=scores,
        cosine=cosines,
        session=st.sampled_from([None, "a", "b"]),
        sequence=st.none() | st.integers(0, 8),
        author=st.sampled_from([None, "Ada", "Bob"]),
    ),
    max_size=12,
    unique_by=lambda c: c.doc,
)


def order(query: str, found: list[Candidate]) -> list[int]:
    return [ranked.doc for ranked in fuse(query, found)]


def test_scores_are_fused_not_ranks() -> None:
    # By rank 1 and 2 would tie; by score the clear winner of the keyword leg wins.
    found = [candidate(1, bm25=9.0, cosine=0.50), candidate(2, bm25=1.0, cosine=0.52)]
    assert order("q", [*found, candidate(3, bm25=0.9, cosine=0.2)]) == [1, 2, 3]


def test_the_z_scores_are_those_of_a_calculation_by_hand() -> None:
    first, second = fuse("q", [candidate(1, 3.0, 0.9), candidate(2, 1.0, 0.5)])
    assert (first.keyword, first.vector, first.score) == pytest.approx((0.5, 0.5, 1.0))
    assert (second.keyword, second.vector, second.score) == pytest.approx((-0.5, -0.5, -1.0))
    assert (first.bm25, first.cosine) == (3.0, 0.9)


def test_what_shares_neither_a_word_nor_a_meaning_is_left_out() -> None:
    assert order("q", [candidate(1, 0.0, 0.05), candidate(2, 0.0, None), candidate(3, 0.1)]) == [3]


def test_a_neighbour_of_a_good_hit_is_lifted() -> None:
    hit = replace(candidate(1, bm25=9.0), session="chat", sequence=4)
    beside = replace(candidate(2, bm25=1.0), session="chat", sequence=5)
    elsewhere = replace(candidate(3, bm25=1.0), session="chat", sequence=9)
    assert order("q", [hit, elsewhere, beside]) == [1, 2, 3]


def test_the_author_that_a_query_names_is_preferred_by_whole_words() -> None:
    by_al = replace(candidate(2, bm25=1.0), author="Al")
    assert order("what did Al say", [candidate(1, bm25=1.0), by_al]) == [2, 1]
    assert order("what did Alice also say", [candidate(1, bm25=1.0), by_al]) == [1, 2]


def test_ties_show_the_older_first() -> None:
    assert order("q", [candidate(7, 1.0), candidate(3, 1.0), candidate(5, 1.0)]) == [3, 5, 7]


@given(candidates, st.randoms())
def test_the_ranking_does_not_depend_on_the_order_of_the_candidates(
    found: list[Candidate], random: Random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    # A place in a session taken twice is answered by either; sequences are given once.
    places = [(c.session, c.sequence) for c in found if c.session]
    assume(len(places) == len(set(places)))
    assert fuse("what did Ada say", shuffled) == fuse("what did Ada say", found)


@given(candidates)
def test_a_score_is_the_sum_of_its_parts(found: list[Candidate]) -> None:
    for hit in fuse("what did Ada say", found):
        assert hit.score == pytest.approx(hit.keyword + hit.vector + hit.neighbours + hit.author)


@given(candidates, st.integers(1, 16), st.integers(0, 4))
def test_the_unit_of_the_keyword_scores_does_not_matter(
    found: list[Candidate], factor: int, author: int
) -> None:
    scaled = [replace(c, bm25=c.bm25 * factor) for c in found]
    before = {hit.doc: hit.score for hit in fuse("q", found)}
    for hit in fuse("q", scaled):
        assert hit.score == pytest.approx(before[hit.doc], abs=1e-6)


@given(st.lists(st.tuples(scores, st.integers(100, 1000)), min_size=2, max_size=10))
def test_who_is_not_worse_in_either_leg_is_not_placed_behind(
    pairs: list[tuple[float, int]],
) -> None:
    found = [candidate(doc, bm25, cos / 1000) for doc, (bm25, cos) in enumerate(pairs, start=1)]
    placed = fuse("q", found)
    for ahead, behind in pairwise(placed):
        better = behind.bm25 > ahead.bm25 and (behind.cosine or 0) > (ahead.cosine or 0)
        assert not better
