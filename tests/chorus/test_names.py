from __future__ import annotations

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

import gossipsub.chorus
from gossipsub import HostConfig
from gossipsub.chorus import MessageType

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "chorus-names.md"
ROWS = re.findall(
    r"^\| (.+?) \| `([\w.]+)` \| `([\w.]+)::(\w+)` \|$", PAGE.read_text(), re.MULTILINE
)

DOCUMENT = """
    NewPubSub NewPubSubWithLogger PublishBzzzMessage PublishHmmmMessage
    PublishContextFeedbackMessage JoinDynamicTopic LeaveDynamicTopic PublishToDynamicTopic
    JoinRoleBasedTopics PublishRoleBasedMessage JoinProjectTopic PublishRaw SubscribeRawTopic
    PublishSlurpEventGenerated PublishSlurpEventAck PublishSlurpContextUpdate SetHmmmMessageHandler
    SetContextFeedbackHandler SetRedactor GetHypercoreLog Close Host NewGossipPublisher Publish
    PubSub Message MessageType MessageOptions HypercoreLogger GossipPublisher RedactMapWithLabels
    HmmmMessageHandler ContextFeedbackHandler dynamicHandlers ShortString
    Message.Type Message.From Message.Timestamp Message.Data Message.HopCount Message.FromRole
    Message.ToRoles Message.RequiredExpertise Message.ProjectID Message.Priority Message.ThreadID
    MessageOptions.FromRole MessageOptions.ToRoles MessageOptions.RequiredExpertise
    MessageOptions.ProjectID MessageOptions.Priority MessageOptions.ThreadID
    TaskAnnouncement TaskClaim TaskProgress TaskComplete CapabilityBcast AvailabilityBcast
    MetaDiscussion TaskHelpRequest TaskHelpResponse CoordinationRequest CoordinationComplete
    DependencyAlert EscalationTrigger RoleAnnouncement ExpertiseRequest ExpertiseResponse
    StatusUpdate WorkAllocation RoleCollaboration MentorshipRequest MentorshipResponse
    ProjectUpdate DeliverableReady FeedbackEvent ContextRequest ContextResponse ContextUsage
    ContextRelevance SlurpEventGenerated SlurpEventAck SlurpContextUpdate
    CHORUS/coordination/v1 hmmm/meta-discussion/v1 CHORUS/context-feedback/v1 CHORUS/roles/<role>/v1
    CHORUS/expertise/<expertise>/v1 CHORUS/hierarchy/<supervisor>/v1
    CHORUS/projects/<project_id>/coordination/v1 CHORUS/tasks/<task_id>/v1
    CHORUS/meta/issue/<issue_id> <custom_topic>
"""
"""Every name of the Go package's documentation."""


def test_the_page_has_every_name_of_the_document_once() -> None:
    named = [name.strip("`") for name, *_ in ROWS if name.startswith("`")]
    assert sorted(named) == sorted(DOCUMENT.split())


@pytest.mark.parametrize("name", sorted({ours for _, ours, *_ in ROWS}))
def test_every_name_of_ours_exists(name: str) -> None:
    head, *rest = name.split(".")
    found: object
    if head in gossipsub.chorus.__all__:
        found = getattr(gossipsub.chorus, head)
    else:
        found = import_module(f"gossipsub.chorus.{head}")
    assert reduce(getattr, rest, found) is not None


@pytest.mark.parametrize("test", sorted({f"{module}::{test}" for *_, module, test in ROWS}))
def test_every_test_that_is_named_exists(test: str) -> None:
    module, name = test.split("::")
    text = (HERE / module).read_text(encoding="utf-8")
    assert re.search(rf"^(async )?def {name}\(", text, re.MULTILINE)


def test_a_message_type_is_named_as_in_go() -> None:
    types = dict(row[:2] for row in ROWS if row[1].startswith("MessageType."))
    assert len(types) == len(MessageType)
    for go, ours in types.items():
        member = MessageType[ours.partition(".")[2]]
        plain = member.replace("_", "").replace("broadcast", "bcast")
        assert plain == go.strip("`").lower()


def test_validation_has_the_numbers_of_the_document() -> None:
    assert (HostConfig().validation_queue, HostConfig().validation_throttle) == (256, 1024)
