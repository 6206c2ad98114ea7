from __future__ import annotations

import string

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipsub.chorus import TraceContext, current_trace, use_trace
from gossipsub.chorus.trace_context import parse_tracestate
from gossipsub.wire.errors import LocalProtocolError

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
ROW = f"{TRACE}-{SPAN}"


@pytest.mark.parametrize(
    ("header", "flags"),
    [
        (f"00-{ROW}-01", 1),
        (f"00-{ROW}-00", 0),
        (f"00-{ROW}-03", 3),
        # Flags that mean nothing are not passed on.
        (f"00-{ROW}-ff", 3),
        (f"00-{ROW}-08", 0),
        # Later versions: what is known of them is read, and whatever follows left.
        (f"01-{ROW}-01", 1),
        (f"cc-{ROW}-01-what-the-future-will-be-like", 1),
        (f"cc-{ROW}-01-", 1),
    ],
)
def test_a_traceparent_is_read(header: str, flags: int) -> None:
    assert TraceContext.parse(header) == TraceContext(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "00",
        ROW,
        f"00-{ROW}",
        f"00-{ROW}-1",
        f"00-{ROW}-001",
        f"00-{ROW}-0G",
        f"00-{ROW}-01-",
        f"00-{ROW}-01-what-the-future-will-be-like",
        f"00-{ROW}-01.",
        f"cc-{ROW}-01.what-the-future-will-not-be-like",
        f"cc-{ROW}-011",
        f"ff-{ROW}-01",
        f"0-{ROW}-01",
        f"000-{ROW}-01",
        f"0x-{ROW}-01",
        f" 00-{ROW}-01",
        f"00-{ROW}-01\n",
        f"00-{ROW.upper()}-01",
        f"00_{ROW}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00-{TRACE[:-1]}.-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{chr(0x660) * 32}-{SPAN}-01",
        "0" * 100_000,
    ],
)
def test_what_is_no_traceparent_is_refused(header: str) -> None:
    with pytest.raises(LocalProtocolError):
        TraceContext.parse(header)
    assert TraceContext.from_data({"traceparent": header}) is None


@pytest.mark.parametrize(
    ("header", "members"),
    [
        ("", ()),
        ("foo=1", (("foo", "1"),)),
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE",
         (("rojo", "00f067aa0ba902b7"), ("congo", "t61rcWkgMzE"))),
        ("foo=1 \t , \t bar=2", (("foo", "1"), ("bar", "2"))),
        ("foo=1,,bar=2,", (("foo", "1"), ("bar", "2"))),
        ("foo= 1 2", (("foo", " 1 2"),)),
        ("fw529a3039@dt=FfAAA:!~", (("fw529a3039@dt", "FfAAA:!~"),)),
        ("0a@sys=1", (("0a@sys", "1"),)),
        ("a-_*/1=1", (("a-_*/1", "1"),)),
        ("z" * 256 + "=1", (("z" * 256, "1"),)),
        ("t" * 241 + "@" + "v" * 14 + "=1", (("t" * 241 + "@" + "v" * 14, "1"),)),
        ("foo=" + "v" * 256, (("foo", "v" * 256),)),
        # Malformed in one member, it is none at all.
        ("foo", ()), ("foo=", ()), ("=1", ()), ("foo=1,foo=2", ()), ("foo =1", ()),
        ("FOO=1", ()), ("foo.fu=1", ()), ("0a=1", ()), ("foo=b=c", ()), ("foo=1;b=2", ()),
        ("foo@=1", ()), ("@foo=1", ()), ("foo@@bar=1", ()), ("a@" + "v" * 15 + "=1", ()),
        ("t" * 242 + "@v=1", ()), ("z" * 257 + "=1", ()), ("foo=" + "v" * 257, ()),
        ("foo=é", ()), ("foo=a\x00", ()),
        (",".join(f"a{n}=1" for n in range(33)), ()),
    ],
)  # fmt: skip
def test_a_tracestate_is_read(header: str, members: tuple[tuple[str, str], ...]) -> None:
    assert parse_tracestate(header) == members
    assert TraceContext.parse(f"00-{ROW}-01", header).state == members


def test_of_a_long_tracestate_large_members_go_first_then_the_last() -> None:
    small = [f"k{number:02}={'v' * 46}" for number in range(11)]
    large = f"large={'v' * 123}"
    assert len(large) == 129
    kept = parse_tracestate(",".join([small[0], large, *small[1:]]))
    assert [key for key, _ in kept] == [f"k{number:02}" for number in range(10)]
    assert len(",".join(f"{key}={value}" for key, value in kept)) <= 512
    fits = ",".join(small[:9])
    assert len(parse_tracestate(f"{fits},{large[:40]}")) == 10


keys = st.text(string.ascii_lowercase, min_size=1, max_size=8)
values = st.text("abc !~;:", min_size=1, max_size=10).filter(lambda text: text[-1] != " ")
contexts = st.builds(
    TraceContext,
    st.text("0123456789abcdef", min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text("0123456789abcdef", min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 3),
    st.dictionaries(keys, values, max_size=20).map(lambda members: tuple(members.items())),
)


@given(contexts)
def test_what_is_written_is_read_back(context: TraceContext) -> None:
    assert TraceContext.parse(context.traceparent, context.tracestate) == context
    assert TraceContext.from_data(context.to_data()) == context


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_makes_reading_fail(parent: str, state: str) -> None:
    TraceContext.from_data({"traceparent": parent, "tracestate": state})
    TraceContext.from_data({"traceparent": f"00-{ROW}-01", "tracestate": state})


@pytest.mark.parametrize(
    "data", [None, {}, {"traceparent": 5}, {"traceparent": None}, {"tracestate": "a=1"}]
)
def test_data_without_a_trace_has_none(data: dict[str, object] | None) -> None:
    assert TraceContext.from_data(data) is None


def test_data_is_what_opentelemetry_writes_and_reads() -> None:
    context = TraceContext(TRACE, SPAN, 1, (("foo", "1"), ("bar", "2")))
    data = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "foo=1,bar=2"}
    assert context.to_data() == data
    assert TraceContext.from_data(data) == context
    assert TraceContext.from_data({"traceparent": data["traceparent"], "tracestate": 5}) == (
        TraceContext(TRACE, SPAN, 1)
    )
    assert TraceContext(TRACE, SPAN).to_data() == {"traceparent": data["traceparent"]}


def test_new_traces_and_spans_are_random() -> None:
    one, other = TraceContext.new(), TraceContext.new(sampled=False)
    assert one.trace_id != other.trace_id
    assert (one.is_sampled, other.is_sampled, one.flags, other.flags) == (True, False, 3, 2)
    child = one.child()
    assert (child.trace_id, child.flags) == (one.trace_id, one.flags)
    assert child.span_id != one.span_id


@pytest.mark.parametrize(
    "fields",
    [
        ("0" * 32, SPAN), (TRACE, "0" * 16), (TRACE[1:], SPAN), (TRACE, SPAN.upper()),
        (TRACE, SPAN, 256), (TRACE, SPAN, -1), (TRACE, SPAN, True), (TRACE, SPAN, 1, (("A", "1"),)),
        (TRACE, SPAN, 1, (("a", "1"), ("a", "2"))),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(fields: tuple[object, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        TraceContext(*fields)  # type: ignore[arg-type]


@pytest.mark.anyio
async def test_the_current_trace_is_that_of_the_task() -> None:
    one, other = TraceContext.new(), TraceContext.new()
    seen = []

    async def look() -> None:
        seen.append(current_trace())
        with use_trace(other):
            seen.append(current_trace())

    async with anyio.create_task_group() as tasks:
        with use_trace(one):
            tasks.start_soon(look)
            with use_trace(None):
                assert current_trace() is None
            assert current_trace() == one
    assert seen == [one, other]
    assert current_trace() is None
