import pytest

from gossipsub.crypto.fields import bytes_field, read_fields, varint_field
from gossipsub.wire.errors import RemoteProtocolError


def test_fields_come_in_order_with_numbers_and_values() -> None:
    message = varint_field(2, 300) + bytes_field(1, b"ab") + bytes_field(1, b"")
    assert message.hex() == "10ac020a0261620a00"
    assert list(read_fields(message)) == [(2, 300), (1, b"ab"), (1, b"")]


@pytest.mark.rule("T18")
def test_a_zero_is_written() -> None:
    assert varint_field(1, 0) == b"\x08\x00"


def test_fixed_width_fields_are_skipped() -> None:
    message = b"\x09" + bytes(8) + b"\x15" + bytes(4) + varint_field(3, 1)
    assert list(read_fields(message)) == [(3, 1)]


@pytest.mark.parametrize(
    "message", ["08", "0a02ff", "0b0c", "0001", "0a80808080808080808080", "0901"]
)
def test_what_is_no_protobuf_is_refused(message: str) -> None:
    with pytest.raises(RemoteProtocolError):
        list(read_fields(bytes.fromhex(message)))
