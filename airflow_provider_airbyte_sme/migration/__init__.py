"""
Rewrites DAG files of the official provider for this one.

It imports nothing here: :mod:`.files` and what it uses need LibCST, the extra ``migrate``.
"""
