"""CPU of what CHORUS does with a message, step by step: each step alone and again and again, so
that all it touches is in the processor's cache, which on the whole way it is not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from gossipsub import SignedMessage
from gossipsub.benchmarks.chorus_paths import MESSAGE_TYPE, Data
from gossipsub.chorus import Delivery, Envelope, Sentinel, Timestamp, check_payload
from gossipsub.chorus.event_log.entry import draft
from gossipsub.chorus.go_json import value_text
from gossipsub.chorus.log_mapping import log_data
from gossipsub.chorus.redacting import copied
from gossipsub.chorus.topics import COORDINATION_TOPIC
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message, verify_message
from gossipsub.wire.rpc import Message

SIGN, VERIFY = "sign", "verify"
REDACT_RE2, REDACT_PLAIN = "redact, with re2", "redact, without re2"

PUBLISHING = ("check the payload", "copy it", REDACT_RE2, REDACT_PLAIN, "envelope", "encode")
RECEIVING = ("decode", "check the payload")
OWN_ENTRY, OTHERS_ENTRY = "entry of an own message", "entry of another's"
LOGGING = (OWN_ENTRY, OTHERS_ENTRY)
"""What the event loop's thread does of it; the log's own thread is seen on the whole way."""

_DEPTH = 63
_LABELS = {"source": "pubsub", "topic": COORDINATION_TOPIC, "message_type": str(MESSAGE_TYPE)}


def measured(
    data: Data, key: PrivateKey, *, has_re2: bool, messages: int, repeats: int
) -> dict[str, Sequence[float]]:
    """CPU seconds of each step, in each repeat; the steps take turns."""
    steps = _steps(data, key, has_re2=has_re2)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            started = time.process_time()
            for _ in range(messages):
                step()
            seconds[name].append((time.process_time() - started) / messages)
    return dict(seconds)


def _steps(data: Data, key: PrivateKey, *, has_re2: bool) -> Mapping[str, Callable[[], object]]:
    me = key.peer_id()
    sender = str(me)

    def envelope() -> Envelope:
        return Envelope(MESSAGE_TYPE, sender, Timestamp.from_unix_ns(time.time_ns()), data)

    said = envelope()
    encoded = said.encode()
    message = Message(COORDINATION_TOPIC, encoded, seqno=bytes(8))
    signed = sign_message(message, key)
    delivery = Delivery(said, COORDINATION_TOPIC, me, SignedMessage(signed, genuine=True), 0)

    def redaction(*, use_re2: bool) -> Callable[[], object]:
        # It finds nothing, and changes nothing therefore.
        sentinel, payload = Sentinel(use_re2=use_re2), dict(data)
        return lambda: sentinel.redact_map_with_labels(payload, _LABELS)

    data_text = value_text(data, _DEPTH)

    def log_entry(data_text: str | None) -> object:
        entry = log_data(delivery, "CHORUS", data_text=data_text)
        return draft("task_progress", entry, delivery.signed, node=sender, now=0)

    steps: dict[str, Callable[[], object]] = {
        SIGN: lambda: sign_message(message, key),
        VERIFY: lambda: verify_message(signed),
        "check the payload": lambda: check_payload(MESSAGE_TYPE, data),
        "copy it": lambda: copied(data, _DEPTH),
        REDACT_PLAIN: redaction(use_re2=False),
        "envelope": envelope,
        "encode": said.encode,
        "decode": lambda: Envelope.decode(encoded),
        OWN_ENTRY: lambda: log_entry(data_text),
        OTHERS_ENTRY: lambda: log_entry(None),
    }
    if has_re2:
        steps[REDACT_RE2] = redaction(use_re2=True)
    return steps
