"""Collections held in memory for searching: copies of what the database holds, never the truth.

cache.py keeps them, within a bound; collection.py is one of them, made of columns.py (what is known
of each document), postings.py (words) and vectors.py (meaning). Documents are numbered by their
position, in the order of doc.
"""
