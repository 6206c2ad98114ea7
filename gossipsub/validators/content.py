"""What a message holds: how many bytes, and of what form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass

from gossipsub.pubsub.message import ReceivedMessage
from gossipsub.router.effects import Verdict
from gossipsub.validators.arguments import require_count, require_function, require_refusal


@dataclass(frozen=True, slots=True)
class MaxSize:
    """`otherwise` for messages with more than `max_data_bytes` of data.

    In a topic of its own, `TopicParams.max_data_bytes` refuses them earlier, before their
    signature is checked. This one serves for all topics at once, or to IGNORE instead of REJECT.
    """

    max_data_bytes: int
    _: KW_ONLY
    otherwise: Verdict = Verdict.REJECT

    def __post_init__(self) -> None:
        require_count("max_data_bytes", self.max_data_bytes)
        require_refusal("otherwise", self.otherwise)

    def __call__(self, message: ReceivedMessage) -> Verdict:
        if len(message.data) > self.max_data_bytes:
            return self.otherwise
        return Verdict.ACCEPT


@dataclass(frozen=True, slots=True)
class Schema:
    """`otherwise` for messages whose data `decode` does not take.

    `decode` gets the bytes of the data and raises one of `malformed` for bad ones; what it returns
    is not looked at. `json.loads` and pydantic raise ValueError. Others have errors of their own:

        Schema(msgspec.json.Decoder(Order).decode, malformed=msgspec.DecodeError)
        Schema(Order.FromString, malformed=google.protobuf.message.DecodeError)

    A RecursionError gives IGNORE: how deep data may be nested is a limit of this node, which an
    honest neighbour may not have. Whatever else `decode` raises is taken for its bug: it passes
    through, and the host logs it and ignores the message.

    `decode` runs in the event loop. Give `MaxSize` or `TopicParams.max_data_bytes` too if it is
    slow: 1 MiB of JSON takes some 10 ms.
    """

    decode: Callable[[bytes], object]
    _: KW_ONLY
    malformed: type[Exception] | tuple[type[Exception], ...] = ValueError
    otherwise: Verdict = Verdict.REJECT

    def __post_init__(self) -> None:
        require_function("decode", self.decode)
        kinds = self.malformed if isinstance(self.malformed, tuple) else (self.malformed,)
        if not all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            raise ValueError(f"malformed is one or more classes of errors: {self.malformed!r}")
        require_refusal("otherwise", self.otherwise)

    def __call__(self, message: ReceivedMessage) -> Verdict:
        try:
            self.decode(message.data)
        except RecursionError:
            return Verdict.IGNORE
        except self.malformed:
            return self.otherwise
        return Verdict.ACCEPT
