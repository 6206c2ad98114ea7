"""Faults of message ids."""

from __future__ import annotations

from functools import partial

from gossipsub.conformance.faults.fault import fault, replace
from gossipsub.crypto.peer_id import PeerId
from gossipsub.peer import options
from gossipsub.router.params import GossipParams
from gossipsub.router.seen import SeenCache
from gossipsub.wire.rpc import Message


@fault
def ids_are_as_in_rust() -> None:
    def message_id(message: Message) -> bytes:
        author = str(PeerId.from_bytes(message.from_peer or b""))
        return f"{author}{int.from_bytes(message.seqno or b'')}".encode()

    replace(options, "origin_id", message_id)


@fault
def the_librarys_ids_are_as_in_js() -> None:
    def message_id(message: Message) -> bytes:
        return (message.from_peer or b"")[2:] + (message.seqno or b"")

    replace(options, "GossipParams", partial(GossipParams, message_id=message_id))


@fault
def ids_are_sent_as_text() -> None:
    original = options.content_id
    replace(options, "content_id", lambda message: original(message).hex().encode())


@fault
def a_message_without_id_is_taken() -> None:
    def message_id(message: Message) -> bytes:
        return (message.from_peer or b"") + (message.seqno or b"")

    replace(options, "origin_id", message_id)


@fault
def content_is_told_apart_by_author() -> None:
    original = options.content_id
    replace(options, "content_id", lambda message: original(message) + (message.from_peer or b""))


@fault
def a_duplicate_is_published_again() -> None:
    replace(SeenCache, "was_accepted", lambda self, message_id, now: False)
