"""What all commands that take part in CHORUS are told about their agent, and the agent so made."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gossipsub.cli.chorus.acquaintances import Acquaintances
from gossipsub.cli.node_options import (
    add_node_options,
    open_node,
    parse_with_node,
    tell_where_it_listens,
)
from gossipsub.cli.parsing import encodable, once_each

if TYPE_CHECKING:
    from gossipsub.chorus.access import AccessRules
    from gossipsub.chorus.presence import Presence
    from gossipsub.chorus.pubsub import ChorusPubSub
    from gossipsub.chorus.rate_limits import RateLimits
    from gossipsub.host import Host

LATELY = 120.0
"""Seconds of which neighbours' logs are asked who is there."""
WORD_CHARACTERS = 128
"""Of a name, a role, a field of expertise or a capability."""
FIRST_AGENT = 2.0
"""Seconds to wait for another agent where it is fine if none comes."""


@dataclass(frozen=True, slots=True)
class Part:
    """An agent that is there."""

    host: Host
    chorus: ChorusPubSub
    presence: Presence
    others: Acquaintances

    def name_of(self, agent: str) -> str:
        """What people call the agent with that peer id."""
        if agent == str(self.host.peer_id) and self.presence.card.name:
            return self.presence.card.name
        return self.others.name_of(agent)


def add_agent_options(
    parser: argparse.ArgumentParser, *, name: str | None = None, can_log: bool = True
) -> None:
    """The options of an agent and of its node; `name` is the default."""
    agent = parser.add_argument_group("the agent")
    agent.add_argument("--name", type=word, default=name, help="what people call it")
    agent.add_argument("--role", type=word, help="what it is: 'Senior Developer'")
    agent.add_argument(
        "--expertise",
        action="append",
        type=word,
        metavar="FIELD",
        help="what it knows; repeatable",
    )
    agent.add_argument(
        "--project",
        action="append",
        type=word,
        metavar="ID",
        help="a project whose topic it joins; repeatable",
    )
    if can_log:
        agent.add_argument(
            "--log", metavar="FILE", help="keep a log of everything said; needs --key"
        )
        agent.add_argument("--no-redact", action="store_true", help="let secrets leave as they are")
    add_node_options(parser)


def parse_agent(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> Any:
    """The arguments, checked together."""
    options = parse_with_node(parser, arguments)
    if getattr(options, "log", None) is not None and options.key is None:
        parser.error("--log needs --key: the log is signed with it, and goes on with it")
    return options


@asynccontextmanager
async def take_part(
    options: argparse.Namespace,
    *,
    capabilities: Sequence[str] = (),
    max_tasks: int = 0,
    access: AccessRules | None = None,
    rates: RateLimits | None = None,
    catch_up: float | None = None,
    patience: float | None = None,
    has_status: bool = True,
) -> AsyncIterator[Part]:
    """The agent that the options describe, in the topics of its role, expertise and projects.

    It asks neighbours' logs for the last `catch_up` seconds, at most a day. It waits for the first
    other agent for `patience` seconds (TimeoutError), or where that is None for a moment, if it
    goes to others at all: who is there hears at once who came.
    """
    from gossipsub.chorus.agent_card import AgentCard
    from gossipsub.chorus.catch_up.catch_up import CatchUp
    from gossipsub.chorus.catch_up.limits import CatchUpLimits
    from gossipsub.chorus.event_log.event_log import EventLog
    from gossipsub.chorus.presence import Presence
    from gossipsub.chorus.pubsub import ChorusPubSub
    from gossipsub.chorus.redaction.sentinel import Sentinel

    expertise = tuple(once_each(options.expertise))
    card = AgentCard(
        name=options.name or "",
        roles=(options.role,) if options.role else (),
        expertise=expertise,
        capabilities=tuple(once_each(capabilities)),
        max_tasks=max_tasks,
    )
    log_file = getattr(options, "log", None)
    redactor = None if getattr(options, "no_redact", False) else Sentinel()
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(open_node(options, has_status=has_status))
        tell_where_it_listens(options, host)
        log = None
        if log_file is not None:
            log = await stack.enter_async_context(EventLog.open(log_file, key=options.key))
        chorus = ChorusPubSub(host, logger=log, redactor=redactor)
        if access is not None:
            chorus.add_check(access.check, own_too=True)
        if rates is not None:
            chorus.add_check(rates.check, live_only=True)
        others = Acquaintances()
        chorus.add_observer(others.observe)
        await stack.enter_async_context(chorus)
        await _join_topics(options, chorus)
        if catch_up is not None:
            limits = CatchUpLimits(window=min(catch_up, CatchUpLimits().window))
            await stack.enter_async_context(CatchUp(chorus, limits=limits))
        await _meet(options, chorus, patience)
        presence = await stack.enter_async_context(Presence(chorus, agent=card))
        yield Part(host, chorus, presence, others)


async def _meet(options: argparse.Namespace, chorus: ChorusPubSub, patience: float | None) -> None:
    if patience is None and not options.bootstrap:
        return
    seconds = FIRST_AGENT if patience is None else patience
    try:
        await chorus.wait_for_peers(1, timeout=seconds, topic=chorus.coordination_topic)
    except TimeoutError:
        if patience is not None:
            raise TimeoutError(f"no other agent came within {patience:g} s") from None


async def _join_topics(options: argparse.Namespace, chorus: ChorusPubSub) -> None:
    expertise = once_each(options.expertise)
    await chorus.join_role_based_topics(
        options.role or "", expertise, once_each(getattr(options, "reports_to", None))
    )
    for project in once_each(options.project):
        await chorus.join_project_topic(project)


def word(text: str) -> str:
    """A name, a role, a field of expertise or a capability."""
    if not 0 < len(text) <= WORD_CHARACTERS:
        raise argparse.ArgumentTypeError(f"not a text of 1 to {WORD_CHARACTERS} characters")
    return encodable(text)
