"""What the commands end with, the same for all of them; 2, for a wrong call, is argparse's."""

from __future__ import annotations

DONE = 0
FAILED = 1
"""It went wrong; or, where a command answers a question, the answer is no."""
TIMED_OUT = 27
"""`sub -W`: mosquitto_sub's number for the same."""
INTERRUPTED = 130
"""Ctrl-C, as shells report it."""
TERMINATED = 143
"""SIGTERM before the work was done, as shells report it."""
