"""Recordings of a router's inputs, and replays that must reproduce its outputs."""

from __future__ import annotations

from gossipsub.recording.errors import RecordingUnreadable
from gossipsub.recording.player import Difference, Replay, replay
from gossipsub.recording.recorder import Recorder

__all__ = ["Difference", "Recorder", "RecordingUnreadable", "Replay", "replay"]
