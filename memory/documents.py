"""Searchable documents: their terms (postings, lengths) and their vectors, kept with the text.

Written in the transaction that writes the text, so keyword search never lags; vectors follow from
the embedding queue (embedding.py). Passages and messages are both documents of a collection.
"""

from collections.abc import Sequence

from memory.terms import term_counts
from memory.transaction import Transaction, to_json


def add_documents(
    transaction: Transaction, collection: int, documents: Sequence[tuple[int, str]]
) -> None:
    """Index (doc, text) pairs, in the order of doc; two statements however many."""
    lengths, postings = [], []
    for doc, text in documents:
        counts = term_counts(text)
        lengths.append({"doc": doc, "length": counts.total()})
        postings += [{"term": term, "doc": doc, "tf": tf} for term, tf in counts.items()]
    transaction.run("insert_documents", collection=collection, rows=to_json(lengths))
    if postings:
        transaction.run("insert_postings", collection=collection, rows=to_json(postings))
    transaction.changes.newest_docs[collection] = documents[-1][0]


def remove_document(transaction: Transaction, collection: int, doc: int) -> None:
    """Forget one document."""
    transaction.run("delete_document", doc=doc)
    transaction.run("delete_document_postings", doc=doc, collection=collection)
    transaction.run("delete_document_vectors", doc=doc)
    transaction.changes.removed_docs.append((collection, doc))


def remove_collection(transaction: Transaction, collection: int) -> None:
    """Forget every document of a collection."""
    transaction.run("delete_collection_documents", collection=collection)
    transaction.run("delete_collection_postings", collection=collection)
    transaction.run("delete_collection_vectors", collection=collection)
    transaction.changes.removed_collections.append(collection)
