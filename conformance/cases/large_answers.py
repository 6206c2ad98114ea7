"""RPCs that do not fit into one (SPL)."""

from __future__ import annotations

from gossipsub.conformance.kit.case import case
from gossipsub.conformance.kit.relay import open_relay
from gossipsub.conformance.kit.trial import Trial
from gossipsub.conformance.scripted_gossip import received
from gossipsub.wire.framing import encode_frame
from gossipsub.wire.rpc import Control, IWant, Message, Rpc
from gossipsub.wire.rpc_codec import encode_rpc

COUNT, SIZE, AT_ONCE = 300, 4096, 10
MAX_RPC_BYTES = 1 << 20


@case("SPL-07", fault="of_a_divided_rpc_one_part_is_sent", also=("T21",))
async def a_large_answer_to_iwant_arrives_whole(trial: Trial) -> None:
    """300 messages of 4 KiB, more than an RPC may hold; all asked for in one IWANT."""
    node = await trial.start(subscribed=True, params={"historyLength": 200})
    relay = await open_relay(trial, node)
    messages: list[Message] = []
    for _ in range(COUNT // AT_ONCE):
        batch = [relay.message(trial.rng.randbytes(SIZE)) for _ in range(AT_ONCE)]
        await relay.send(*batch)
        with trial.expecting("messages of 4 KiB forwarded"):
            for message in batch:
                await relay.arrives(message)
        messages += batch
    w = await trial.peer(node)
    with trial.expecting("the target's subscription at the beginning of its stream"):
        await w.receive_rpc()
    ids = [(each.from_peer or b"") + (each.seqno or b"") for each in messages]
    await w.send_rpc(Rpc(control=Control(iwant=[IWant(ids)])))

    def missing() -> set[bytes | None]:
        got = {each.data for rpc in received(w) for each in rpc.publish}
        return {each.data for each in messages} - got

    with trial.expecting(f"all {COUNT} messages in answer to one IWANT"):
        await w.until(lambda: not missing(), "message", 15)
    largest = max(len(encode_frame(encode_rpc(rpc))) for rpc in received(w))
    trial.check(largest <= MAX_RPC_BYTES + 4, "RPCs of at most 1 MiB", f"one of {largest} bytes")
    count = sum(bool(rpc.publish) for rpc in received(w))
    trial.observe(f"1.2 MB leave in {count} RPCs")
