"""Base58 and the other bases of multibase texts (multiformats, multibase.csv).

Written here because peer ids need nothing more than this, in both directions for base58 and
base32. Every text is the user's own: errors are LocalProtocolError.
"""

from __future__ import annotations

from gossipsub.wire.errors import LocalProtocolError

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BASE58_FLICKR = "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ"
BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
BASE32_HEX = "0123456789abcdefghijklmnopqrstuv"
BASE32_Z = "ybndrfg8ejkmcpqxot1uwisza345h769"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BASE64_URL = BASE64[:62] + "-_"

# Bases whose text is one large number; a leading zero byte is a leading zero digit.
_NUMBERS = {"z": BASE58, "Z": BASE58_FLICKR, "9": "0123456789", "k": BASE36, "K": BASE36}

# Bases that cut the bits into groups (RFC 4648): alphabet, bits of a digit, digits of a padded
# block (0: unpadded).
_GROUPS = {
    "0": ("01", 1, 0),
    "7": ("01234567", 3, 0),
    "f": (BASE36[:16], 4, 0),
    "F": (BASE36[:16], 4, 0),
    "b": (BASE32, 5, 0),
    "B": (BASE32, 5, 0),
    "c": (BASE32, 5, 8),
    "C": (BASE32, 5, 8),
    "v": (BASE32_HEX, 5, 0),
    "V": (BASE32_HEX, 5, 0),
    "t": (BASE32_HEX, 5, 8),
    "T": (BASE32_HEX, 5, 8),
    "h": (BASE32_Z, 5, 0),
    "m": (BASE64, 6, 0),
    "M": (BASE64, 6, 4),
    "u": (BASE64_URL, 6, 0),
    "U": (BASE64_URL, 6, 4),
}

_ANY_CASE = frozenset("fFbBcCvVtTkK")
_BASE58_PAIRS = "".join(high + low for high in BASE58 for low in BASE58)


def encode_base58(data: bytes) -> str:
    """The base58btc text of `data`, without a multibase prefix."""
    number = int.from_bytes(data, "big")
    pairs: list[str] = []
    while number:
        # Two digits a step: half the divisions of a long number, which are the cost here.
        number, pair = divmod(number, 3364)
        pairs.append(_BASE58_PAIRS[2 * pair : 2 * pair + 2])
    pairs.reverse()
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(pairs).lstrip("1")


def decode_base58(text: str) -> bytes:
    """The bytes of a base58btc text without prefix; LocalProtocolError for another character."""
    return _decode_number(text, BASE58)


def encode_base32(data: bytes) -> str:
    """RFC 4648 base32 of `data` in lower case without padding and without a multibase prefix."""
    spare = -len(data) * 8 % 5
    number = int.from_bytes(data, "big") << spare
    digits = (len(data) * 8 + spare) // 5
    return "".join(BASE32[number >> 5 * place & 31] for place in reversed(range(digits)))


def decode_multibase(text: str) -> bytes:
    """The bytes of a multibase text, by its prefix.

    Knows every base of the registry but proquint and emoji. LocalProtocolError for an unknown
    prefix, a character outside the alphabet, or digits that no encoder writes.
    """
    prefix, body = text[:1], text[1:]
    if prefix in _ANY_CASE:
        body = body.lower()
    if prefix in _NUMBERS:
        return _decode_number(body, _NUMBERS[prefix])
    if prefix in _GROUPS:
        alphabet, bits, block = _GROUPS[prefix]
        return _decode_groups(_without_padding(body, block), alphabet, bits)
    raise LocalProtocolError(f"unknown multibase prefix {prefix!r}")


def _decode_number(text: str, alphabet: str) -> bytes:
    base = len(alphabet)
    number = 0
    for character in text:
        number = number * base + _digit(character, alphabet)
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _decode_groups(text: str, alphabet: str, bits: int) -> bytes:
    number = 0
    for character in text:
        number = number << bits | _digit(character, alphabet)
    # The last digit may hold spare bits, zeros all of them; more would be a second text for the
    # same bytes.
    spare = len(text) * bits % 8
    if spare >= bits or number & ((1 << spare) - 1):
        raise LocalProtocolError("multibase text does not end on a byte")
    return (number >> spare).to_bytes(len(text) * bits // 8, "big")


def _without_padding(text: str, block: int) -> str:
    if not block:
        return text
    stripped = text.rstrip("=")
    if len(text) % block or len(text) - len(stripped) >= block:
        raise LocalProtocolError("multibase text is not padded as its base demands")
    return stripped


def _digit(character: str, alphabet: str) -> int:
    digit = alphabet.find(character)
    if digit < 0:
        raise LocalProtocolError(f"{character!r} does not belong to this base")
    return digit
