"""The seam to the event log: what is said in CHORUS is appended, and a log that fails ends
nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from gossipsub.chorus.delivery import Delivery
from gossipsub.chorus.errors import EventLogFailed
from gossipsub.chorus.event_log.logger import EventLogger
from gossipsub.chorus.log_mapping import log_data, log_type
from gossipsub.wire.errors import LocalProtocolError

logger = logging.getLogger("gossipsub.chorus.journal")


class Journal:
    """Writes deliveries into the application's event log, if it has one."""

    def __init__(self, event_logger: EventLogger | None, log_topics: Mapping[str, str]) -> None:
        """`log_topics` has the short names of the static topics."""
        self.event_logger = event_logger
        self.failures = 0
        """Events the log did not take, and questions it did not answer."""
        self._log_topics = log_topics
        self._contains: Callable[[bytes], bool] | None = getattr(event_logger, "contains", None)

    def append(self, delivery: Delivery, *, data_text: str | None = None) -> bool:
        """False where the log failed, which is logged and goes no further. `data_text` as in
        `log_data`."""
        if self.event_logger is None:
            return True
        log_topic = self._log_topics.get(delivery.topic, delivery.topic)
        kind = log_type(delivery.envelope.type, log_topic)
        try:
            data = log_data(delivery, log_topic, data_text=data_text)
            self.event_logger.append(kind, data, signed=delivery.signed)
        except Exception:
            self._failed("append")
            return False
        return True

    def contains(self, origin: bytes) -> bool:
        """Whether the log holds that message; False where it does not know."""
        if self._contains is None:
            return False
        try:
            return bool(self._contains(origin))
        except Exception:
            self._failed("contains")
            return False

    async def flush(self) -> None:
        """EventLogFailed where the log could not make durable what was appended;
        LocalProtocolError where there is none."""
        if self.event_logger is None:
            raise LocalProtocolError("log_first needs an event log: ChorusPubSub(host, logger=…)")
        try:
            await self.event_logger.flush()
        except Exception as error:
            self._failed("flush")
            raise EventLogFailed(f"the event log could not be flushed: {error}") from error

    def _failed(self, what: str) -> None:
        self.failures += 1
        logger.exception("the event log failed call=%s", what)
