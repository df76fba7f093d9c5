"""The order in which hits are shown: its laws, and its parts by hand."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.fusion import WEIGHTS, Asked, Ranked, Ranking, Weights
from memory.fusion import fuse as fuse_columns
from memory.surroundings import Scored, Statistics, Text, in_columns, in_context

MARCH = datetime(2026, 3, 31, tzinfo=UTC)
MAY = datetime(2026, 5, 7, tzinfo=UTC)
LEGS_ONLY = Weights(author=0.0, subject=0.0, date=0.0, session=0.0, question=0.0, only_asks=0.0)


@dataclass(frozen=True)
class Candidate:
    """A text and its scores."""

    text: Text
    bm25: float
    bm25_in_context: float
    cosine_in_context: float | None


def scored(doc: int, bm25: float = 0.0, cosine: float | None = None, **known: object) -> Candidate:
    """A text without neighbours."""
    text = replace(Text(doc, 10, MARCH, cosine=cosine), **known)  # type: ignore[arg-type]
    return Candidate(text, bm25, bm25, cosine)


def fuse(asked: Asked, found: Sequence[Candidate], weights: Weights = WEIGHTS) -> Ranking:
    """Rank candidates of one collection."""
    found = sorted(found, key=lambda candidate: candidate.text.doc)
    rows = [(c.bm25, c.bm25_in_context, c.cosine_in_context) for c in found]
    columns = np.asarray(rows, np.float64).reshape(len(found), 3).T
    texts = in_columns([candidate.text for candidate in found], Statistics({}))
    return fuse_columns(asked, [Scored(texts, *columns)], weights)


scores = st.integers(0, 1000).map(lambda n: n / 50)
cosines = st.none() | st.integers(-1000, 1000).map(lambda n: n / 1000)


@st.composite
def candidates(draw: st.DrawFn, sessions: bool = True, max_size: int = 12) -> list[Candidate]:
    docs = draw(st.lists(st.integers(1, 10_000), max_size=max_size, unique=True))
    return [
        Candidate(
            Text(
                doc,
                10,
                draw(st.sampled_from([MARCH, MAY])),
                cosine=draw(cosines),
                author=draw(st.sampled_from([None, "Ada", "Bob"])),
                session=draw(st.sampled_from([None, "a", "b"])) if sessions else None,
                asks=(asks := draw(st.booleans())),
                only_asks=asks and draw(st.booleans()),
            ),
            bm25=(own := draw(scores)),
            bm25_in_context=own + draw(scores),
            cosine_in_context=draw(cosines),
        )
        for doc in docs
    ]


def in_may(moment: datetime) -> bool:
    return moment == MAY


ASKED = Asked("what did Ada say in May", in_may)


def order(query: str, found: Sequence[Candidate], weights: Weights = WEIGHTS) -> list[int]:
    return [ranked.doc for ranked in fuse(Asked(query), found, weights)]


def parts(hit: Ranked) -> float:
    named = hit.author + hit.subject + hit.date
    return hit.keyword + hit.vector + named + hit.question + hit.session


def test_scores_are_fused_not_ranks() -> None:
    # By rank 1 and 2 would tie; by score the clear winner of the keyword leg wins.
    found = [scored(1, bm25=9.0, cosine=0.50), scored(2, bm25=1.0, cosine=0.52)]
    assert order("q", [*found, scored(3, bm25=0.9, cosine=0.2)]) == [1, 2, 3]


def test_the_z_scores_are_those_of_a_calculation_by_hand() -> None:
    first, second = fuse(Asked("q"), [scored(1, 3.0, 0.9), scored(2, 1.0, 0.5)], LEGS_ONLY)
    assert (first.keyword, first.vector, first.score) == pytest.approx((0.5, 0.5, 1.0))
    assert (second.keyword, second.vector, second.score) == pytest.approx((-0.5, -0.5, -1.0))
    assert (first.bm25, first.cosine) == (3.0, 0.9)


def test_scores_in_context_are_what_is_compared() -> None:
    beside = replace(scored(2, bm25=1.0), bm25_in_context=9.0)
    assert order("q", [scored(1, bm25=2.0), beside]) == [2, 1]


def test_what_shares_neither_a_word_nor_a_meaning_is_left_out_whatever_stands_beside_it() -> None:
    beside = replace(scored(4, 0.0, 0.05), bm25_in_context=9.0, cosine_in_context=0.9)
    assert order("q", [scored(1, 0.0, 0.05), scored(2), scored(3, 0.1), beside]) == [3]


def test_what_a_filter_does_not_allow_is_left_out() -> None:
    assert order("q", [scored(1, 9.0, allowed=False), scored(2, 1.0)]) == [2]


def test_the_author_that_a_query_names_is_preferred_by_whole_words() -> None:
    found = [scored(1, bm25=1.0), scored(2, bm25=1.0, author="Al")]
    assert order("what did Al say", found) == [2, 1]
    assert order("what did Alice also say", found) == [1, 2]


def test_a_date_that_a_query_names_prefers_what_is_of_that_day() -> None:
    found = [scored(1, bm25=1.0), scored(2, bm25=1.0, dated=MAY)]
    assert [hit.doc for hit in fuse(Asked("in May", in_may), found)] == [2, 1]


def test_a_text_that_asks_comes_after_one_that_tells() -> None:
    assert order("q", [scored(1, bm25=1.0, asks=True), scored(2, bm25=1.0)]) == [2, 1]


def test_a_question_in_the_querys_own_words_comes_after_what_tells() -> None:
    asked = scored(1, bm25=20.0, cosine=0.9, asks=True, only_asks=True)
    told, others = scored(2, 3.0, 0.8), [scored(doc, 1.0, 0.3) for doc in range(3, 9)]
    assert order("What is it?", [asked, told, *others])[0] == 2
    assert order("what did she ask", [asked, told, *others])[0] == 1


def mentioning(doc: int, *mentioned: str, author: str | None = None) -> Text:
    counts = {"key": 1} | dict.fromkeys(mentioned, 1)
    return Text(doc, 10, MARCH, counts, author=author)


def order_of_texts(query: str, *texts: Text) -> list[int]:
    known = Statistics({"key": 1.0, "ada": 1.0, "bob": 1.0, "lock": 5.0})
    of_collection = in_context(in_columns(texts, known), known, ())
    return [hit.doc for hit in fuse_columns(Asked(query), [of_collection])]


def test_what_mentions_a_name_of_the_query_is_preferred_to_what_shares_its_other_words() -> None:
    about_bob, about_ada = mentioning(1, "bob", "lock"), mentioning(2, "ada")
    assert order_of_texts("Which key has Ada?", about_bob, about_ada) == [2, 1]
    assert order_of_texts("which lock key", about_bob, about_ada) == [1, 2]


def test_the_more_of_the_querys_names_a_text_mentions_the_better() -> None:
    both = mentioning(3, "ada", "bob")
    texts = [mentioning(1, "ada"), mentioning(2), both]
    assert order_of_texts("Did Ada give Bob the key?", *texts) == [3, 1, 2]


def test_who_signs_speaks_to_others_by_name_and_of_nobody() -> None:
    # "Bob, the key?" by Ada is no more of Bob than anything else that she says to him.
    to_bob, by_bob, of_bob = (
        mentioning(1, "bob", author="Ada"), mentioning(2, "bob", author="Bob"),
        mentioning(3, "bob"),
    )  # fmt: skip
    assert order_of_texts("The key of Bob?", to_bob, by_bob, of_bob) == [3, 2, 1]


def test_the_session_of_a_good_hit_is_preferred() -> None:
    good = scored(1, bm25=9.0, session="a")
    same, other = scored(3, bm25=1.0, session="a"), scored(2, bm25=1.0, session="b")
    assert order("q", [good, same, other]) == [1, 3, 2]


def test_ties_show_the_older_first() -> None:
    assert order("q", [scored(7, 1.0), scored(3, 1.0), scored(5, 1.0)]) == [3, 5, 7]


@given(candidates(), st.randoms())
def test_the_ranking_does_not_depend_on_the_order_of_the_candidates(
    found: list[Candidate], random: Random
) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert list(fuse(ASKED, shuffled)) == list(fuse(ASKED, found)) == list(fuse(ASKED, found))


@given(candidates())
def test_a_score_is_the_sum_of_its_parts(found: list[Candidate]) -> None:
    for hit in fuse(ASKED, found):
        assert hit.score == pytest.approx(parts(hit))


@given(candidates())
def test_a_bonus_is_given_only_for_what_it_is_for(found: list[Candidate]) -> None:
    texts = {candidate.text.doc: candidate.text for candidate in found}
    for hit in fuse(ASKED, found):
        assert (hit.date > 0) == (texts[hit.doc].dated == MAY)
        assert (hit.question < 0) == texts[hit.doc].asks
        assert hit.subject == 0
        assert hit.author == 0 or texts[hit.doc].author == "Ada"


@given(candidates(sessions=False), st.lists(st.integers(0, 9), min_size=12, max_size=12))
def test_without_sessions_the_order_is_that_of_the_other_parts_and_no_sequence_matters(
    found: list[Candidate], sequences: list[int]
) -> None:
    placed = [
        replace(s, text=replace(s.text, thread="a", sequence=sequence))
        for s, sequence in zip(found, sequences, strict=False)
    ]
    asked = [hit.doc for hit in fuse(ASKED, found)]
    assert [hit.doc for hit in fuse(ASKED, placed)] == asked
    # A share of each one's own score on top of it changes no order, but where two almost tie.
    hits = {hit.doc: hit.score for hit in fuse(ASKED, found, replace(WEIGHTS, session=0.0))}
    for ahead, behind in pairwise(asked):
        assert hits[ahead] >= hits[behind] - 1e-9


@given(candidates(), st.integers(1, 16))
def test_the_unit_of_the_keyword_scores_does_not_matter(
    found: list[Candidate], factor: int
) -> None:
    scaled = [
        replace(s, bm25=s.bm25 * factor, bm25_in_context=s.bm25_in_context * factor) for s in found
    ]
    before = {hit.doc: hit.score for hit in fuse(Asked("q"), found)}
    for hit in fuse(Asked("q"), scaled):
        assert hit.score == pytest.approx(before[hit.doc], abs=1e-6)


@given(st.lists(scores, min_size=1, max_size=10, unique=True), scores)
def test_one_more_candidate_changes_no_order_among_the_others_where_one_search_speaks(
    found: list[float], other: float
) -> None:
    # With two it may: z-scores weigh a search by how far apart its scores lie, and one more
    # candidate changes that for each of them differently.
    before = [scored(doc, bm25 + 1) for doc, bm25 in enumerate(found, start=1)]
    with_other = order("q", [*before, scored(99, other + 1)])
    assert [doc for doc in with_other if doc != 99] == order("q", before)


@given(st.lists(st.tuples(scores, st.integers(100, 1000)), min_size=2, max_size=10))
def test_who_is_not_worse_in_either_leg_is_not_placed_behind(
    pairs: list[tuple[float, int]],
) -> None:
    found = [scored(doc, bm25, cos / 1000) for doc, (bm25, cos) in enumerate(pairs, start=1)]
    for ahead, behind in pairwise(fuse(Asked("q"), found)):
        better = behind.bm25 > ahead.bm25 and (behind.cosine or 0) > (ahead.cosine or 0)
        assert not better


def test_sessions_of_two_collections_are_two_however_they_are_called() -> None:
    def of_collection(*found: Candidate) -> Scored:
        texts = in_columns([candidate.text for candidate in found], Statistics({}))
        columns = np.asarray([(c.bm25, c.bm25, np.nan) for c in found], np.float64).T
        return Scored(texts, *columns)

    one = of_collection(scored(1, bm25=9.0, session="a"), scored(4, bm25=0.5, session="b"))
    other = of_collection(scored(2, bm25=1.0, session="a"), scored(3, bm25=1.0, session="b"))
    hits = {hit.doc: hit.session for hit in fuse_columns(Asked("q"), [one, other])}
    assert hits[1] > 0 > hits[2] == hits[3]
