"""multistream-select: what each side writes, accepts and refuses, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.wire.errors import LocalProtocolError, RemoteProtocolError
from gossipsub.wire.multistream import (
    MultistreamDialer,
    MultistreamListener,
    Negotiated,
)

HEADER = bytes.fromhex("132f6d756c746973747265616d2f312e302e300a")
NA = bytes.fromhex("036e610a")
NOISE = b"\x07/noise\n"
TLS = b"\x0b/tls/1.0.0\n"
MESHSUB = b"\x0f/meshsub/1.1.0\n"

Side = MultistreamDialer | MultistreamListener
Cut = Callable[[bytes], list[bytes]]


def whole(data: bytes) -> list[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


both_cuts = pytest.mark.parametrize("cut", [whole, byte_by_byte])


def feed(side: Side, pieces: list[bytes]) -> None:
    for piece in pieces:
        side.receive_data(piece)


def outcome(side: Side) -> tuple[str, str]:
    """How the negotiation stands: ("agreed", protocol), ("stream failed", why), ("open", "")."""
    try:
        event = side.next_event()
    except RemoteProtocolError as error:
        return f"{error.fatal_to} failed", str(error)
    return ("open", "") if event is None else ("agreed", event.protocol)


def listener_of(*protocols: str, max_proposals: int = 32) -> MultistreamListener:
    return MultistreamListener(protocols.__contains__, max_proposals=max_proposals)


# --- both sides --------------------------------------------------------------------------------


@pytest.mark.rule("MSS-01")
def test_the_first_bytes_each_way_are_the_header() -> None:
    assert listener_of("/noise").data_to_send() == HEADER
    assert MultistreamDialer(["/noise"]).data_to_send() == HEADER + NOISE


@pytest.mark.rule("MSS-02")
def test_nobody_waits_for_the_others_header() -> None:
    dialer, listener = MultistreamDialer(["/noise"]), listener_of("/noise")
    assert dialer.data_to_send().startswith(HEADER)
    assert listener.data_to_send() == HEADER
    assert listener.data_to_send() == b""


@pytest.mark.rule("MSS-02")
@both_cuts
def test_a_dialer_accepts_a_header_that_comes_before_or_with_the_answer(cut: Cut) -> None:
    early, late = MultistreamDialer(["/noise"]), MultistreamDialer(["/noise"])
    feed(early, cut(HEADER))  # even before our own bytes were drained
    assert early.data_to_send() == HEADER + NOISE
    feed(early, cut(NOISE))
    late.data_to_send()
    feed(late, cut(HEADER + NOISE))
    assert early.next_event() == late.next_event() == Negotiated("/noise")


@pytest.mark.rule("MSS-02")
def test_a_listener_serves_a_dialer_that_waits_for_the_header() -> None:
    listener = listener_of("/noise")
    listener.data_to_send()
    listener.receive_data(HEADER)
    assert (listener.data_to_send(), listener.next_event()) == (b"", None)
    listener.receive_data(NOISE)
    assert (listener.data_to_send(), listener.next_event()) == (NOISE, Negotiated("/noise"))


@pytest.mark.rule("MSS-05")
@both_cuts
@pytest.mark.parametrize(
    "side", [lambda: MultistreamDialer(["/noise"]), lambda: listener_of("/noise")]
)
def test_another_first_line_than_the_header_ends_the_stream(
    side: Callable[[], Side], cut: Cut
) -> None:
    other_version, no_header = side(), side()
    feed(other_version, cut(b"\x13/multistream/2.0.0\n"))
    feed(no_header, cut(NOISE))
    assert outcome(other_version) == (
        "stream failed",
        "multistream: '/multistream/2.0.0' instead of the header",
    )
    assert outcome(no_header) == ("stream failed", "multistream: '/noise' instead of the header")


BROKEN_LINES = {
    "zero length": (b"\x00", "multistream: message without a line"),
    "no newline": (b"\x06/noise", "multistream: line does not end in a newline"),
    "1025 bytes": (b"\x81\x08", "multistream: line of 1025 bytes, at most 1024 allowed"),
    "2^63 bytes": (
        b"\x80" * 9 + b"\x01",
        "multistream: line of 9223372036854775808 bytes, at most 1024 allowed",
    ),
    "not UTF-8": (b"\x03\xff\xfe\n", "multistream: line is not UTF-8"),
    "endless length": (b"\x80" * 10, "multistream: varint longer than 10 bytes"),
    "padded length": (b"\x87\x00/noise\n", "multistream: varint is not minimally encoded"),
}


@pytest.mark.rule("MSS-06", "T29")
@both_cuts
@pytest.mark.parametrize("as_first_line", [True, False])
@pytest.mark.parametrize("name", BROKEN_LINES)
def test_a_broken_line_ends_the_stream_before_more_is_buffered(
    name: str, as_first_line: bool, cut: Cut
) -> None:
    line, reason = BROKEN_LINES[name]
    for side in (MultistreamDialer(["/noise"]), listener_of("/noise")):
        feed(side, cut(line if as_first_line else HEADER + line))
        assert outcome(side) == ("stream failed", reason)


@pytest.mark.rule("MSS-06")
@both_cuts
def test_a_line_of_1024_bytes_is_accepted(cut: Cut) -> None:
    name = "/" + "x" * 1022
    dialer, listener = MultistreamDialer([name]), listener_of(name)
    feed(listener, cut(dialer.data_to_send()))
    feed(dialer, cut(listener.data_to_send()))
    assert listener.next_event() == dialer.next_event() == Negotiated(name)


def test_a_failed_negotiation_stays_failed_and_takes_nothing_more() -> None:
    listener = listener_of("/noise")
    listener.receive_data(b"\x00")
    first = outcome(listener)
    listener.receive_data(HEADER + NOISE + b"data")
    assert outcome(listener) == first == ("stream failed", "multistream: message without a line")
    assert listener.surplus() == b""
    with pytest.raises(RemoteProtocolError, match=r"^multistream: message without a line$"):
        listener.receive_eof()


@pytest.mark.parametrize("received", [b"", HEADER, HEADER + b"\x07/no", HEADER + TLS])
@pytest.mark.parametrize(
    "side", [lambda: MultistreamDialer(["/tls", "/noise"]), lambda: listener_of("/noise")]
)
def test_an_end_of_stream_before_the_agreement_is_an_error(
    side: Callable[[], Side], received: bytes
) -> None:
    if received == HEADER + TLS and isinstance(side(), MultistreamDialer):
        received = HEADER + NA
    cut_short = side()
    cut_short.receive_data(received)
    reason = "multistream: closed before a protocol was agreed on"
    with pytest.raises(RemoteProtocolError, match=rf"^{reason}$") as raised:
        cut_short.receive_eof()
    assert raised.value.fatal_to == "stream"
    assert outcome(cut_short) == ("stream failed", reason)


# --- the listener ------------------------------------------------------------------------------


@pytest.mark.rule("MSS-03")
@both_cuts
def test_a_listener_says_na_to_the_unknown_and_echoes_the_known(cut: Cut) -> None:
    listener = listener_of("/noise")
    listener.data_to_send()
    feed(listener, cut(HEADER + b"\x06/nope\n"))
    assert (listener.data_to_send(), listener.next_event()) == (NA, None)
    feed(listener, cut(NOISE))
    assert (listener.data_to_send(), listener.next_event()) == (NOISE, Negotiated("/noise"))
    assert listener.next_event() is None


@pytest.mark.rule("T17")
def test_a_go_dialer_that_tries_tls_first_is_answered_na_and_goes_on() -> None:
    listener = listener_of("/noise")
    listener.data_to_send()
    listener.receive_data(HEADER + TLS)
    assert (listener.data_to_send(), listener.next_event()) == (NA, None)
    listener.receive_data(NOISE)
    assert (listener.data_to_send(), listener.next_event()) == (NOISE, Negotiated("/noise"))


@pytest.mark.rule("MSS-08")
@pytest.mark.parametrize(
    "proposal",
    [
        pytest.param(b"\x03ls\n", id="ls"),
        pytest.param(b"\x01\n", id="empty"),
        pytest.param(b"\x03na\n", id="na"),
        pytest.param(HEADER, id="second header"),
        pytest.param(b"\x08/noise \n", id="a space more"),
        pytest.param(b"\x07/NOISE\n", id="other case"),
    ],
)
def test_everything_else_is_only_another_unknown_protocol(proposal: bytes) -> None:
    listener = listener_of("/noise", "")
    listener.receive_data(HEADER + proposal + NOISE)
    assert listener.data_to_send() == HEADER + NA + NOISE
    assert listener.next_event() == Negotiated("/noise")


@pytest.mark.rule("MSS-07", "T19")
@both_cuts
def test_data_sent_behind_a_lazy_proposal_is_handed_on(cut: Cut) -> None:
    listener = listener_of("/meshsub/1.1.0")
    feed(listener, cut(HEADER + MESHSUB + b"\x05hello"))
    assert listener.data_to_send() == HEADER + MESHSUB
    assert listener.next_event() == Negotiated("/meshsub/1.1.0")
    assert (listener.surplus(), listener.surplus()) == (b"\x05hello", b"")
    listener.receive_data(b"\x00more")  # would be a broken line, were it still a negotiation
    assert (listener.surplus(), outcome(listener)) == (b"\x00more", ("open", ""))


@pytest.mark.rule("MSS-12")
def test_a_peer_that_sends_everything_and_closes_is_still_served() -> None:
    listener = listener_of("/meshsub/1.1.0")
    listener.receive_data(HEADER + MESHSUB + b"push")
    listener.receive_eof()
    assert listener.next_event() == Negotiated("/meshsub/1.1.0")
    assert (listener.surplus(), listener.data_to_send()) == (b"push", HEADER + MESHSUB)


def test_there_is_no_surplus_before_the_agreement() -> None:
    listener = listener_of("/noise")
    listener.receive_data(HEADER + NOISE[:4])
    assert listener.surplus() == b""
    listener.receive_data(NOISE[4:])
    assert listener.next_event() == Negotiated("/noise")


@both_cuts
def test_only_so_many_refusals_are_answered(cut: Cut) -> None:
    listener = listener_of("/noise", max_proposals=3)
    feed(listener, cut(HEADER + TLS * 3))
    assert (listener.data_to_send(), outcome(listener)) == (HEADER + NA * 3, ("open", ""))
    feed(listener, cut(TLS + NOISE))
    assert outcome(listener) == (
        "stream failed",
        "multistream: too many proposals nobody here speaks",
    )
    assert listener.data_to_send() == b""


def test_the_last_allowed_refusal_may_be_followed_by_an_agreement() -> None:
    listener = listener_of("/noise")
    listener.receive_data(HEADER + TLS * 32 + NOISE)
    assert listener.next_event() == Negotiated("/noise")


# --- the dialler -------------------------------------------------------------------------------


@pytest.mark.rule("MSS-04")
@both_cuts
def test_a_dialer_proposes_its_list_in_order(cut: Cut) -> None:
    dialer = MultistreamDialer(["/tls/1.0.0", "/meshsub/1.1.0", "/noise"])
    assert dialer.data_to_send() == HEADER + TLS
    feed(dialer, cut(HEADER + NA))
    assert dialer.data_to_send() == MESHSUB
    feed(dialer, cut(NA))
    assert dialer.data_to_send() == NOISE
    feed(dialer, cut(NOISE + b"first bytes"))
    assert (dialer.next_event(), dialer.next_event()) == (Negotiated("/noise"), None)
    assert (dialer.data_to_send(), dialer.surplus()) == (b"", b"first bytes")


@pytest.mark.rule("MSS-04")
@both_cuts
def test_a_dialer_fails_after_the_last_na(cut: Cut) -> None:
    dialer = MultistreamDialer(["/tls/1.0.0", "/noise"])
    feed(dialer, cut(HEADER + NA))
    assert outcome(dialer) == ("open", "")
    feed(dialer, cut(NA))
    assert outcome(dialer) == (
        "stream failed",
        "multistream: peer speaks none of /tls/1.0.0, /noise",
    )


@pytest.mark.rule("MSS-04")
@pytest.mark.parametrize("answer", ["/tls/1.0.0", "/noise/2", "", "ls", "/multistream/1.0.0"])
def test_an_answer_that_is_neither_echo_nor_na_is_a_failure(answer: str) -> None:
    dialer = MultistreamDialer(["/noise", "/tls/1.0.0"])
    dialer.receive_data(HEADER + bytes([len(answer) + 1]) + answer.encode() + b"\n")
    assert outcome(dialer) == ("stream failed", f"multistream: {answer!r} in answer to '/noise'")


@pytest.mark.rule("MSS-07")
def test_a_lazy_dialer_sends_data_with_its_only_proposal() -> None:
    dialer = MultistreamDialer(["/meshsub/1.1.0"], early_data=b"\x05hello")
    assert dialer.data_to_send() == HEADER + MESHSUB + b"\x05hello"
    assert dialer.next_event() is None
    dialer.receive_data(HEADER + MESHSUB)
    assert dialer.next_event() == Negotiated("/meshsub/1.1.0")


@pytest.mark.rule("MSS-07")
def test_a_refused_lazy_dialer_gives_the_stream_up() -> None:
    dialer = MultistreamDialer(["/meshsub/1.1.0"], early_data=b"\x05hello")
    dialer.receive_data(HEADER + NA + NA)
    assert outcome(dialer) == ("stream failed", "multistream: peer speaks none of /meshsub/1.1.0")


@pytest.mark.parametrize(
    ("protocols", "early_data", "reason"),
    [
        ([], b"", "multistream: no protocol to propose"),
        (["/a", "/b"], b"x", "multistream: early data needs exactly one protocol"),
        ([""], b"", "multistream: '' cannot name a protocol"),
        (["/a", "na"], b"", "multistream: 'na' cannot name a protocol"),
        (["/a\n/b"], b"", "multistream: '/a\\n/b' cannot name a protocol"),
        (["/" + "é" * 512], b"", "multistream: a protocol name has at most 1023 bytes"),
        (["/\ud800"], b"", "multistream: '/\\ud800' is not Unicode text"),
    ],
)
def test_a_dialer_refuses_what_no_peer_could_accept(
    protocols: list[str], early_data: bytes, reason: str
) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        MultistreamDialer(protocols, early_data=early_data)
    assert str(raised.value) == reason


# --- whatever comes ----------------------------------------------------------------------------

lines = st.sampled_from(
    [HEADER, NA, NOISE, TLS, MESHSUB, b"\x01\n", b"\x03ls\n", b"\x00", b"\x06/noise", b"\x80"]
)
conversations = st.tuples(st.sampled_from([HEADER, b"", NOISE]), st.lists(lines), st.binary()).map(
    lambda parts: parts[0] + b"".join(parts[1]) + parts[2]
)
some_sides = st.sampled_from(
    [
        lambda: MultistreamDialer(["/noise"]),
        lambda: MultistreamDialer(["/tls/1.0.0", "/meshsub/1.1.0"]),
        lambda: listener_of("/noise", "/meshsub/1.1.0", max_proposals=2),
    ]
)


def run(side: Side, pieces: list[bytes]) -> tuple[tuple[str, str], bytes, bytes]:
    feed(side, pieces)
    return outcome(side), side.data_to_send(), side.surplus()


@given(some_sides, st.one_of(conversations, st.binary()), st.lists(st.integers(0, 200)))
def test_the_outcome_depends_on_no_cut(
    side: Callable[[], Side], received: bytes, cuts: list[int]
) -> None:
    edges = sorted({0, len(received), *(cut for cut in cuts if cut < len(received))})
    pieces = [received[a:b] for a, b in pairwise(edges)]
    expected = run(side(), [received])
    assert run(side(), pieces) == expected
    assert run(side(), byte_by_byte(received)) == expected


names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)
some_names = st.lists(
    names.filter(lambda name: name not in ("na", "/multistream/1.0.0")), min_size=1, max_size=6
)


@pytest.mark.rule("MSS-04")
@given(some_names, some_names, st.binary(), st.integers(1, 50))
def test_two_ends_agree_on_the_first_protocol_both_speak(
    proposed: list[str], spoken: list[str], behind: bytes, step: int
) -> None:
    common = [name for name in proposed if name in spoken]
    dialer, listener = MultistreamDialer(proposed), listener_of(*spoken)
    for _ in range(len(proposed) + 1):
        for source, target in ((dialer, listener), (listener, dialer)):
            data = source.data_to_send()
            feed(target, [data[i : i + step] for i in range(0, len(data), step)])
    if common:
        assert outcome(dialer) == outcome(listener) == ("agreed", common[0])
        listener.receive_data(behind)
        assert (dialer.surplus(), listener.surplus()) == (b"", behind)
    else:
        assert outcome(dialer)[0] == "stream failed"
        assert outcome(listener) == ("open", "")


@given(names, st.binary(), st.booleans())
def test_a_lazy_end_delivers_its_data_whatever_it_is(name: str, data: bytes, spoken: bool) -> None:
    if name in ("na", "/multistream/1.0.0"):
        name = "/" + name
    dialer = MultistreamDialer([name], early_data=data)
    listener = listener_of(name) if spoken else listener_of()
    listener.receive_data(dialer.data_to_send())
    dialer.receive_data(listener.data_to_send())
    if spoken:
        assert outcome(dialer) == outcome(listener) == ("agreed", name)
        assert listener.surplus() == data
    else:
        assert outcome(dialer)[0] == "stream failed"
