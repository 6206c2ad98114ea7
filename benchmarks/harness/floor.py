"""The floor: what the cryptography of a message costs alone, on this machine and from Python.

No node that verifies what it receives can be cheaper than its floor. Measured as gossipsub does it:
a real signed message, and its frame sealed as one or more messages of Noise.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gossipsub.benchmarks.harness.results import Figure
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import SIGNATURE_PREFIX, sign_message
from gossipsub.crypto.noise import MAX_PLAINTEXT_BYTES
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.message_codec import bytes_to_sign
from gossipsub.wire.rpc import Message, Rpc
from gossipsub.wire.rpc_codec import encode_rpc
from gossipsub.wire.yamux_frame import HEADER_BYTES

SIZES = (256, 1024, 16384, 65536)
"""Bytes of a message's data, if nothing else is asked for."""

ROLES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "publisher": (("sign",), ("seal",)),
    "relay": (("verify",), ("open", "seal")),
    "receiver": (("verify",), ("open",)),
}
"""What a node does for each message: with its signature, and with its frames. A relay has one peer
to send on to."""

_BATCH_SECONDS = 0.004
_BATCHES = 5
_NONCE = bytes(12)

Operation = Callable[[], object]


def measure_floor(sizes: Iterable[int] = SIZES, *, repeats: int = 3) -> dict[str, Figure]:
    """Microseconds of CPU by `operation.size`: verify, sign, seal, open, and where PyNaCl is
    installed verify_fast.

    Each repeat is the best of five batches. Takes about 0.1 s for each size and repeat, in which
    the calling thread does nothing else.
    """
    operations = {
        f"{name}.{size}": operation
        for size in dict.fromkeys(sizes)
        for name, operation in _operations(size)
    }
    samples: dict[str, list[float]] = {name: [] for name in operations}
    for _ in range(repeats):
        for name, operation in operations.items():
            samples[name].append(_best_batch(operation) * 1e6)
    return {name: Figure(tuple(each), "us") for name, each in samples.items()}


def floor_of(
    floor: Mapping[str, Figure], role: str, size: int, *, fast: bool = False, signed: bool = True
) -> float | None:
    """Microseconds of CPU that the role takes at least for a message of that size.

    `fast` is with the cheaper of both libraries for verifying. None for a role that has no floor
    of its own (a node of a mesh takes part in all three), and for a size that was not measured.
    """
    if role not in ROLES:
        return None
    with_signature, with_frames = ROLES[role]
    costs = [
        _cost(floor, name, size, fast=fast)
        for name in ((*with_signature, *with_frames) if signed else with_frames)
    ]
    known = [cost for cost in costs if cost is not None]
    return sum(known) if len(known) == len(costs) else None


def _cost(floor: Mapping[str, Figure], name: str, size: int, *, fast: bool) -> float | None:
    names = (name, f"{name}_fast") if fast else (name,)
    costs = [floor[key].median for each in names if (key := f"{each}.{size}") in floor]
    return min(costs, default=None)


def _operations(size: int) -> Iterator[tuple[str, Operation]]:
    seed = os.urandom(32)
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public_key = key.public_key()
    message = sign_message(
        Message("benchmark", os.urandom(size), seqno=bytes(8)), PrivateKey.from_seed(seed)
    )
    signed = SIGNATURE_PREFIX + bytes_to_sign(message)
    signature = key.sign(signed)
    yield "verify", lambda: public_key.verify(signature, signed)
    verify_fast = _verify_fast(signature + signed, public_key.public_bytes_raw())
    if verify_fast is not None:
        yield "verify_fast", verify_fast
    yield "sign", lambda: key.sign(signed)

    cipher = ChaCha20Poly1305(os.urandom(32))
    body = bytes(HEADER_BYTES) + encode_frame(encode_rpc(Rpc(publish=(message,))))
    plain = [
        body[start : start + MAX_PLAINTEXT_BYTES]
        for start in range(0, len(body), MAX_PLAINTEXT_BYTES)
    ]
    sealed = [cipher.encrypt(_NONCE, each, b"") for each in plain]
    yield "seal", lambda: [cipher.encrypt(_NONCE, each, b"") for each in plain]
    yield "open", lambda: [cipher.decrypt(_NONCE, each, b"") for each in sealed]


def _verify_fast(signature_and_signed: bytes, public_key: bytes) -> Operation | None:
    try:
        from nacl.bindings import crypto_sign_open
    except ImportError:
        return None
    return lambda: crypto_sign_open(signature_and_signed, public_key)


def _best_batch(operation: Operation) -> float:
    """Seconds of CPU for one call, in the least disturbed of some batches."""
    count = 1
    while (taken := _cpu_of(operation, count)) < _BATCH_SECONDS / 2:
        count *= 2
    return min(taken, *(_cpu_of(operation, count) for _ in range(_BATCHES - 1))) / count


def _cpu_of(operation: Operation, count: int) -> float:
    started = time.thread_time()
    for _ in range(count):
        operation()
    return time.thread_time() - started
