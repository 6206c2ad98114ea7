"""Signatures verified a second, by how many threads, and how late that makes everybody else.

`python -m gossipsub.benchmarks.signatures`: batches as the validation pipeline makes them. The
lateness is that of a thread that sleeps two milliseconds and then computes for a tenth of one,
as an event loop does, while two threads verify without a pause.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from typing import Any

from gossipsub.benchmarks.measurement import environment
from gossipsub.crypto.keys import PrivateKey
from gossipsub.crypto.message_signing import sign_message, verify_batch
from gossipsub.wire.rpc import Message

BATCH = 32
NAP = 0.002


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gossipsub.benchmarks.signatures", description=__doc__)
    parser.add_argument("--size", type=int, default=1024, help="bytes of data in a message")
    parser.add_argument("--batches", type=int, default=100, help="verified in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(arguments)
    batch = [_signed(number, flags.size) for number in range(BATCH)]
    report: dict[str, Any] = {"versions": environment("cryptography"), "size": flags.size}
    for threads in (1, 2):
        rates = [_rate(batch, flags.batches, threads) for _ in range(flags.rounds)]
        report[f"per_second_{threads}"] = max(rates)
    late = _lateness(batch, naps=flags.batches)
    report["late_median_s"], report["late_p99_s"] = late[len(late) // 2], late[-len(late) // 100]
    if flags.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 0


def _print(report: dict[str, Any]) -> None:
    print(", ".join(f"{name} {value}" for name, value in report["versions"].items()))
    print(f"signatures over {report['size']} B, the best round:")
    print(f"1 thread {report['per_second_1']:.0f} a second")
    print(f"2 threads {report['per_second_2']:.0f} a second")
    print(
        f"others late meanwhile: median {report['late_median_s'] * 1000:.1f} ms, "
        f"99th percentile {report['late_p99_s'] * 1000:.1f} ms"
    )


def _signed(number: int, size: int) -> Message:
    key = PrivateKey.from_seed(number.to_bytes(32))
    return sign_message(Message("benchmark", bytes(size), seqno=bytes(8)), key)


def _rate(batch: list[Message], batches: int, threads: int) -> float:
    """Signatures a second of so many threads together."""

    def verify() -> None:
        for _ in range(batches // threads):
            verify_batch(batch)

    running = [threading.Thread(target=verify) for _ in range(threads)]
    started = time.perf_counter()
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return batches // threads * threads * len(batch) / (time.perf_counter() - started)


def _lateness(batch: list[Message], *, naps: int) -> list[float]:
    """Seconds, shortest first."""
    is_over = threading.Event()

    def verify() -> None:
        while not is_over.is_set():
            verify_batch(batch)

    running = [threading.Thread(target=verify) for _ in range(2)]
    for thread in running:
        thread.start()
    late = []
    for _ in range(naps):
        started = time.perf_counter()
        time.sleep(NAP)
        sum(range(5000))
        late.append(time.perf_counter() - started - NAP)
    is_over.set()
    for thread in running:
        thread.join()
    return sorted(late)


if __name__ == "__main__":
    sys.exit(main())
