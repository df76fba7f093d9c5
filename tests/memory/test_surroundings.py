"""What neighbours add to a text's scores: against formulas by hand, and its laws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from math import isnan
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from memory.surroundings import K1, B, Statistics, Text, bm25, in_columns, rarity
from memory.surroundings import in_context as columns_in_context

DAY = datetime(2026, 3, 31, tzinfo=UTC)
KNOWN = Statistics({"sea": 2.0, "tea": 1.0}, mean_length=10.0)
SHARES = (0.5, 0.25)


@dataclass(frozen=True)
class Scored:
    """A text and its scores."""

    text: Text
    bm25: float
    bm25_in_context: float
    cosine_in_context: float | None


def text(doc: int, sequence: int | None = None, **known: object) -> Text:
    placed = Text(doc, 10, DAY, thread="chat", sequence=sequence or 0)
    alone = replace(placed, thread=None)
    return replace(alone if sequence is None else placed, **known)  # type: ignore[arg-type]


def in_context(
    found: Sequence[Text], statistics: Statistics, shares: Sequence[float]
) -> list[Scored]:
    """Score texts, and give the scores back text by text, in the order of doc."""
    scored = columns_in_context(in_columns(found, statistics), statistics, shares)
    columns = (scored.bm25, scored.bm25_in_context, scored.cosine_in_context)
    rows = zip(*(column.tolist() for column in columns), strict=True)
    texts = sorted(found, key=lambda one: one.doc)
    return [
        Scored(one, own, together, None if isnan(cosine) else cosine)
        for one, (own, together, cosine) in zip(texts, rows, strict=True)
    ]


counts = st.dictionaries(st.sampled_from(["sea", "tea"]), st.integers(1, 5), max_size=2)
cosines = st.none() | st.integers(-1000, 1000).map(lambda n: n / 1000)


@st.composite
def texts(draw: st.DrawFn, places: bool = True) -> list[Text]:
    docs = draw(st.lists(st.integers(1, 10_000), max_size=12, unique=True))
    threads = st.sampled_from(["chat", "file"])
    return [
        Text(
            doc,
            draw(st.integers(1, 30)),
            DAY,
            counts=draw(counts),
            cosine=draw(cosines),
            thread=draw(st.none() | threads) if places else None,
            sequence=draw(st.integers(0, 12)),
        )
        for doc in docs
    ]


def by_doc(scored: Sequence[Scored]) -> dict[int, Scored]:
    return {s.text.doc: s for s in scored}


def test_terms_of_neighbours_count_by_their_share_and_lengths_are_averaged() -> None:
    found = [
        text(1, 1, counts={"sea": 1}, length=4),
        text(2, 2, length=10),
        text(3, 3, counts={"sea": 2}, length=8),
    ]
    middle = by_doc(in_context(found, KNOWN, SHARES))[2]
    count, length = 0.5 * 1 + 0.5 * 2, (10 + 0.5 * 4 + 0.5 * 8) / 2
    norm = K1 * (1 - B + B * length / 10)
    assert middle.bm25_in_context == pytest.approx(2.0 * count * (K1 + 1) / (count + norm))
    assert middle.bm25 == 0


def test_the_cosine_in_context_is_the_mean_of_those_that_are_known() -> None:
    found = [text(1, 1, cosine=0.9), text(2, 2, cosine=0.3), text(3, 3), text(4, 4, cosine=0.1)]
    scored = by_doc(in_context(found, KNOWN, SHARES))
    assert scored[2].cosine_in_context == pytest.approx((0.3 + 0.5 * 0.9 + 0.25 * 0.1) / 1.75)
    assert scored[3].cosine_in_context == pytest.approx((0.5 * 0.3 + 0.5 * 0.1 + 0.25 * 0.9) / 1.25)


def test_a_neighbour_is_the_next_text_there_is_within_reach() -> None:
    far = [text(1, 1, counts={"tea": 1}), text(2, 4)]
    beside = [text(1, 1, counts={"tea": 1}), text(2, 3)]
    assert by_doc(in_context(far, KNOWN, SHARES))[2].bm25_in_context == 0
    assert by_doc(in_context(beside, KNOWN, SHARES))[2].bm25_in_context > 0


def test_texts_of_another_session_are_no_neighbours() -> None:
    other = text(1, 1, counts={"tea": 1}, thread="file")
    assert by_doc(in_context([other, text(2, 2)], KNOWN, SHARES))[2].bm25_in_context == 0


def test_a_term_in_every_document_is_worth_little_and_a_rare_one_much() -> None:
    assert 0 < rarity(100, 100) < rarity(100, 10) < rarity(100, 1)


@given(texts(), st.randoms())
def test_scores_do_not_depend_on_the_order_of_the_texts(found: list[Text], random: Random) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)
    assert in_context(shuffled, KNOWN, SHARES) == in_context(found, KNOWN, SHARES)


@given(texts(places=False))
def test_who_has_no_session_is_scored_alone(found: list[Text]) -> None:
    for scored in in_context(found, KNOWN, SHARES):
        alone = scored.text
        assert scored.bm25 == scored.bm25_in_context
        counts = np.asarray([[alone.counts.get(term, 0) for term in KNOWN.idf]])
        assert scored.bm25 == bm25(counts, np.asarray([alone.length]), KNOWN)[0]
        assert scored.cosine_in_context == alone.cosine


@given(texts())
def test_without_shares_everybody_is_alone(found: list[Text]) -> None:
    for scored in in_context(found, KNOWN, ()):
        assert scored.bm25 == scored.bm25_in_context
        assert scored.cosine_in_context == scored.text.cosine


@given(texts())
def test_a_cosine_in_context_lies_between_those_that_it_is_made_of(found: list[Text]) -> None:
    known = [t.cosine for t in found if t.cosine is not None]
    assume(known)
    for scored in in_context(found, KNOWN, SHARES):
        if scored.cosine_in_context is not None:
            assert min(known) - 1e-9 <= scored.cosine_in_context <= max(known) + 1e-9


@given(texts(), texts())
def test_what_stands_in_another_thread_changes_nothing(
    found: list[Text], others: list[Text]
) -> None:
    taken = {t.doc for t in found}
    elsewhere = [
        replace(t, thread=t.thread and f"another {t.thread}") for t in others if t.doc not in taken
    ]
    both = by_doc(in_context([*found, *elsewhere], KNOWN, SHARES))
    for scored in in_context(found, KNOWN, SHARES):
        assert both[scored.text.doc] == scored
