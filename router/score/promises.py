"""Promises: who offered a message with IHAVE and did not deliver it (v1.1, "Spam Protection")."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass

from gossipsub.router.message_id import bounded_key


@dataclass(slots=True)
class _Promise:
    due: float
    topic: str


class Promises:
    """One message id of each IWANT, to be delivered, by whomever, within `follow_up` seconds.

    At most `limit` are remembered; beyond it new ones are not.
    """

    def __init__(self, *, follow_up: float, limit: int) -> None:
        self._follow_up = follow_up
        self._limit = limit
        self._count = 0
        self._promises: dict[bytes, dict[bytes, _Promise]] = {}
        self._forgiven: dict[bytes, float] = {}

    def __len__(self) -> int:
        return self._count

    def add(self, peer: bytes, message_id: bytes, topic: str, now: float) -> None:
        """The peer was asked for a message; asking it again leaves the earlier time."""
        if self._count < self._limit:
            promises = self._promises.setdefault(bounded_key(message_id), {})
            if peer not in promises:
                promises[peer] = _Promise(now + self._follow_up, topic)
                self._count += 1

    def kept(self, message_id: bytes) -> None:
        """A genuine copy came, or was dropped by our own overload: nobody is to blame."""
        if self._promises:
            self._count -= len(self._promises.pop(bounded_key(message_id), ()))

    def withdraw(self, peer: bytes, message_ids: Iterable[bytes]) -> None:
        """Our IWANT did not reach the peer."""
        for message_id in message_ids:
            promises = self._promises.get(bounded_key(message_id))
            if promises is not None and promises.pop(peer, None) is not None:
                self._count -= 1
                if not promises:
                    del self._promises[bounded_key(message_id)]

    def forgive(self, peer: bytes, now: float) -> None:
        """We dropped messages of the peer without a look, maybe promised ones: what it has
        promised until now does not count. Carried out with the next `take_broken`."""
        self._forgiven[peer] = now + self._follow_up

    def take_broken(
        self, *, joined: Container[str], pending: Iterable[bytes], now: float
    ) -> dict[bytes, int]:
        """How many promises each peer broke, which are then forgotten.

        One of the `pending` messages, under validation, is waited for: only the verdict tells
        whether it is genuine. One of a topic we left was refused by ourselves.
        """
        self._carry_out_forgiveness()
        broken: dict[bytes, int] = {}
        due = [
            (key, peer, promise.topic)
            for key, promises in self._promises.items()
            for peer, promise in promises.items()
            if promise.due < now
        ]
        if due:
            waiting = {bounded_key(message_id) for message_id in pending}
            for key, peer, topic in due:
                if key not in waiting:
                    self.withdraw(peer, (key,))
                    if topic in joined:
                        broken[peer] = broken.get(peer, 0) + 1
        return broken

    def _carry_out_forgiveness(self) -> None:
        forgiven, self._forgiven = self._forgiven, {}
        if forgiven:
            void = [
                (key, peer)
                for key, promises in self._promises.items()
                for peer, promise in promises.items()
                if peer in forgiven and promise.due <= forgiven[peer]
            ]
            for key, peer in void:
                self.withdraw(peer, (key,))
