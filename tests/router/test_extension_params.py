"""Parameters of extensions, and how topics depend on them."""

from __future__ import annotations

import pytest

from gossipsub.router.extension.params import ExtensionParams, PartialMode
from gossipsub.router.params import GossipParams, TopicParams


def test_no_extension_is_on_by_default() -> None:
    params = GossipParams()
    assert params.extensions == ExtensionParams(partial_messages=False, test_extension=False)
    assert params.settings(TopicParams()).partial_messages is None


def test_a_group_is_remembered_for_at_least_three_heartbeats() -> None:
    assert ExtensionParams(partial_group_heartbeats=3).partial_group_heartbeats == 3
    with pytest.raises(ValueError, match=r"^partial_group_heartbeats must be at least 3: 2$"):
        ExtensionParams(partial_group_heartbeats=2)


def test_partial_messages_in_a_topic_need_the_extension() -> None:
    own = TopicParams(partial_messages=PartialMode.SUPPORT)
    with pytest.raises(
        ValueError, match=r"^a topic has partial messages while that extension is off$"
    ):
        GossipParams(topics={"t": own})
    params = GossipParams(extensions=ExtensionParams(partial_messages=True), topics={"t": own})
    assert params.settings(own).partial_messages is PartialMode.SUPPORT
