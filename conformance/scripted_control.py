"""What scripted peers say in control messages, and what they were told in them."""

from __future__ import annotations

from collections.abc import Sequence

from gossipsub.conformance.scripted_gossip import received, received_control, signed
from gossipsub.conformance.scripted_peer import ScriptedPeer
from gossipsub.wire.rpc import Control, IDontWant, IHave, IWant, Message, Prune, Rpc, SubOpts


def forged(w: ScriptedPeer, topic: str, number: int) -> Message:
    """W's message of this sequence number, with a signature that is not genuine."""
    message = signed(w, topic, number)
    message.signature, message.encoding = bytes(64), None
    return message


async def subscribe(w: ScriptedPeer, topic: str) -> None:
    await w.send_rpc(Rpc(subscriptions=[SubOpts(topic)]))


async def send(w: ScriptedPeer, *messages: Message) -> None:
    """Each message in an RPC of its own."""
    for message in messages:
        await w.send_rpc(Rpc(publish=[message]))


async def offer(w: ScriptedPeer, topic: str, *message_ids: bytes) -> None:
    await w.send_rpc(Rpc(control=Control(ihave=[IHave(topic, message_ids)])))


async def ask(w: ScriptedPeer, *message_ids: bytes) -> None:
    await w.send_rpc(Rpc(control=Control(iwant=[IWant(message_ids)])))


async def refuse(w: ScriptedPeer, *message_ids: bytes) -> None:
    await w.send_rpc(Rpc(control=Control(idontwant=[IDontWant(message_ids)])))


def asked(w: ScriptedPeer) -> list[bytes]:
    """All ids W was sent an IWANT for, in order."""
    iwants = [each for control in received_control(w) for each in control.iwant]
    return [message_id for each in iwants for message_id in each.message_ids]


def offered(w: ScriptedPeer) -> list[bytes]:
    """All ids W was sent an IHAVE for, in order."""
    ihaves = [each for control in received_control(w) for each in control.ihave]
    return [message_id for each in ihaves for message_id in each.message_ids]


def refused(w: ScriptedPeer) -> list[bytes]:
    """All ids W was sent an IDONTWANT for, in order."""
    idontwants = [each for control in received_control(w) for each in control.idontwant]
    return [message_id for each in idontwants for message_id in each.message_ids]


def prunes(w: ScriptedPeer) -> list[Prune]:
    """All PRUNEs W was sent, in order."""
    return [each for control in received_control(w) for each in control.prune]


def received_data(w: ScriptedPeer) -> list[bytes]:
    """The data of all messages W was sent, in order."""
    return [message.data or b"" for rpc in received(w) for message in rpc.publish]


async def wait_data(w: ScriptedPeer, data: bytes, *, timeout: float = 5.0) -> None:
    """Until W was sent a message with this data."""
    await w.until(lambda: data in received_data(w), "the message", timeout)


async def wait_asked(w: ScriptedPeer, message_ids: Sequence[bytes]) -> None:
    """Until W was sent an IWANT for one of these."""
    await w.until(lambda: not set(message_ids).isdisjoint(asked(w)), "IWANT", 10)
