"""Catching up: a node asks its neighbours for the messages that it did not hear.

Logs are compared by digests, and what is lacking comes as its authors signed it
(docs/chorus-catch-up.md).
"""
