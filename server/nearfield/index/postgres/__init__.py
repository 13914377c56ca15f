"""An index in PostgreSQL, which a team shares: one builder writes it, everybody else reads.

Each workspace has a schema of its own. Code itself is not in it: its words, names, paths, places
and vectors are, and what is shown comes from the checkout of whoever asks, where it is the same.
Needs `psycopg` (`pip install "nearfield[postgres]"`), and on the server `pgvector` and `pg_trgm`.
"""
