"""The application's say in who is dialled, accepted and kept."""

from __future__ import annotations

import pytest

from gossipsub import Host, IpGate, LocalProtocolError
from gossipsub.crypto.keys import PrivateKey
from gossipsub.transport.address import Address
from gossipsub.transport.gate import GuardedGate

PEER = PrivateKey.from_node_number(1).peer_id()


def at(host: str, protocol: str = "ip4") -> Address:
    return Address(protocol, host, 4001)


@pytest.mark.parametrize(
    ("gate", "allowed", "refused"),
    [
        (IpGate(), ["10.0.0.1", "2001:db8::1"], []),
        (IpGate(deny="10.0.0.0/8"), ["11.0.0.1", "2001:db8::1"], ["10.0.0.1", "10.255.0.1"]),
        (IpGate(allow="10.0.0.0/8"), ["10.0.0.1"], ["11.0.0.1", "2001:db8::1"]),
        (
            IpGate(allow=["10.0.0.0/8", "2001:db8::/32"], deny=["10.1.0.0/16", "2001:db8::1"]),
            ["10.0.0.1", "10.2.0.1", "2001:db8::2"],
            ["10.1.0.1", "2001:db8::1", "192.0.2.1"],
        ),
    ],
    ids=["anybody", "deny", "allow", "both"],
)
def test_an_ip_gate_lets_in_what_is_allowed_and_not_denied(gate, allowed, refused):
    for hosts, answer in ((allowed, True), (refused, False)):
        for host in hosts:
            address = at(host, "ip6" if ":" in host else "ip4")
            assert gate.allow_dial(address) is answer
            assert gate.allow_accept(address) is answer
            assert gate.allow_peer(PEER, address, outbound=True) is answer


def test_an_ip_gate_waits_where_a_name_leads():
    gate = IpGate(allow="10.0.0.0/8")
    for protocol in ("dns", "dns4", "dns6"):
        assert gate.allow_dial(at("example.org", protocol))


def test_without_an_address_an_ip_gate_lets_in_only_where_it_names_nobody():
    for gate, answer in ((IpGate(deny="10.0.0.0/8"), True), (IpGate(allow="10.0.0.0/8"), False)):
        assert gate.allow_accept(None) is answer
        assert gate.allow_peer(PEER, None, outbound=False) is answer


@pytest.mark.parametrize("wrong", ["10.0.0.1/8", "example.org", None, [None]])
def test_what_is_no_network_is_refused(wrong):
    for name in ("allow", "deny"):
        with pytest.raises(LocalProtocolError, match=r"^not an IP network: "):
            IpGate(**{name: wrong})


class Answers:
    """A gate that gives one answer, or raises it."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def _give(self, *_given: object) -> object:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    allow_dial = allow_accept = allow_peer = _give

    def __repr__(self) -> str:
        return "Answers()"


def ask_all(gate: GuardedGate) -> list[bool]:
    return [
        gate.allow_dial(at("10.0.0.1")),
        gate.allow_accept(None),
        gate.allow_peer(PEER, None, True),
    ]


def test_without_a_gate_everybody_is_let_in():
    assert ask_all(GuardedGate(None)) == [True] * 3
    assert ask_all(GuardedGate(Answers(True))) == [True] * 3
    assert ask_all(GuardedGate(Answers(False))) == [False] * 3


def test_a_gate_that_fails_stays_shut_and_is_logged(caplog):
    assert ask_all(GuardedGate(Answers(ZeroDivisionError("mine")))) == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the connection gate failed gate=Answers()"
    ] * 3
    assert all(record.exc_info for record in caplog.records)


def test_a_gate_that_answers_otherwise_stays_shut_and_is_logged(caplog):
    assert ask_all(GuardedGate(Answers("yes"))) == [False] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the connection gate answers neither True nor False: 'yes'"
    ] * 3


@pytest.mark.parametrize("missing", ["allow_dial", "allow_accept", "allow_peer"])
def test_a_host_takes_no_gate_without_all_methods(missing):
    gate = Answers(True)
    setattr(gate, missing, None)
    with pytest.raises(LocalProtocolError) as refused:
        Host(gate=gate)
    assert str(refused.value) == f"a gate has a method {missing}: Answers()"
