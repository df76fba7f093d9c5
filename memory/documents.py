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
    counted = [(doc, term_counts(text)) for doc, text in documents]
    postings = [(term, doc, tf) for doc, counts in counted for term, tf in counts.items()]
    transaction.run(
        "insert_documents",
        collection=collection,
        docs=to_json([doc for doc, _ in counted]),
        lengths=to_json([counts.total() for _, counts in counted]),
    )
    if postings:
        transaction.run(
            "insert_postings",
            collection=collection,
            terms=" ".join(term for term, _, _ in postings),
            docs=to_json([doc for _, doc, _ in postings]),
            tfs=to_json([tf for _, _, tf in postings]),
        )
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
