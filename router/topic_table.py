"""What holds in each topic: only topics with parameters of their own have an entry."""

from __future__ import annotations

from gossipsub.router.params import GossipParams, TopicParams, TopicSettings


class TopicTable:
    """The settings of every topic; those of single topics may change at run time."""

    def __init__(self, params: GossipParams) -> None:
        self._params = params
        self._others = params.settings(TopicParams())
        self._own = {topic: params.settings(own) for topic, own in params.topics.items()}

    def of(self, topic: str) -> TopicSettings:
        return self._own.get(topic, self._others)

    def set(self, topic: str, own: TopicParams) -> None:
        """Use these parameters from now on. ValueError where they cannot work."""
        settings = self._params.settings(own)
        if settings == self._others:
            self._own.pop(topic, None)
        else:
            self._own[topic] = settings
