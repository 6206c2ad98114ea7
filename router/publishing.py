"""In which order the messages of a batch leave."""

from __future__ import annotations

from gossipsub.router.effects import Effect, Lane, SendRpc


def in_turns(effects: list[Effect]) -> list[Effect]:
    """Own messages' RPCs one of each message in turn, behind all else.

    So the first copies of every message leave early, and others can begin to forward them; to
    each single peer the messages still go in their order, as sequence numbers want it.
    """
    others: list[Effect] = []
    queues: list[list[SendRpc]] = []
    for effect in effects:
        if isinstance(effect, SendRpc) and effect.lane is Lane.OWN:
            if queues and queues[-1][0].rpc is effect.rpc:
                queues[-1].append(effect)
            else:
                queues.append([effect])
        else:
            others.append(effect)
    longest = max(map(len, queues), default=0)
    turns = (queue[turn] for turn in range(longest) for queue in queues if turn < len(queue))
    return [*others, *turns]
