"""A team that shares one HTTP server: its people and their tokens, roles, limits and sums of use.

Nothing here knows HTTP or holds code; `http/` asks it for each request.
"""
