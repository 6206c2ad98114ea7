"""How many connections one IP address may have, and which handshake gives way."""

from __future__ import annotations

import pytest

from gossipsub.config import HostConfig
from gossipsub.transport.address import Address
from gossipsub.transport.ip_limits import Handshakes, IpCounts, IpGroups


def at(host: str) -> Address:
    return Address("ip6" if ":" in host else "ip4", host, 4001)


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", ("192.0.2.1", True)),
        ("2001:db8:1:2:3:4:5:6", ("2001:db8:1:2::/64", True)),
        ("127.0.0.1", ("127.0.0.1", False)),
        ("127.1.2.3", ("127.1.2.3", False)),
        ("::1", ("::/64", False)),
    ],
)
def test_addresses_are_grouped_and_those_of_this_machine_not_limited(host, group):
    assert IpGroups(HostConfig()).of(at(host)) == group


def test_other_networks_can_be_without_limits():
    groups = IpGroups(HostConfig(unlimited_networks=("10.0.0.0/8", "2001:db8::/32")))
    hosts = ("10.1.1.1", "2001:db8::1", "127.0.0.1", "192.0.2.1")
    assert [groups.of(at(host))[1] for host in hosts] == [False, False, True, True]
    assert groups.of(None) == ("", False)


def test_an_address_is_full_at_its_limit_and_others_are_not():
    counts = IpCounts(HostConfig(max_connections_per_ip=2))
    for host in ("192.0.2.1", "192.0.2.1", "2001:db8::1", "2001:db8::2", "127.0.0.1", "127.0.0.1"):
        counts.add(at(host))
    counts.add(None)
    counts.add(None)
    full = {
        host: counts.is_full(at(host))
        for host in ("192.0.2.1", "192.0.2.2", "2001:db8::3", "2001:db8:0:1::1", "127.0.0.1")
    }
    assert full == {
        "192.0.2.1": True,
        "192.0.2.2": False,
        "2001:db8::3": True,
        "2001:db8:0:1::1": False,
        "127.0.0.1": False,
    }
    assert not counts.is_full(None)
    counts.remove(at("192.0.2.1"))
    counts.remove(at("2001:db8::9"))  # of the group, whichever address it is
    assert not counts.is_full(at("192.0.2.1"))
    assert not counts.is_full(at("2001:db8::1"))
    counts.remove(at("192.0.2.1"))
    assert not counts.is_full(at("192.0.2.1"))


class Queue:
    """Handshakes that begin in turn; who had to give way is told by its name."""

    def __init__(self, **limits: int) -> None:
        self.handshakes = Handshakes(HostConfig(**limits))
        self.gave_way: list[str] = []
        self.places: dict[str, tuple[str, int]] = {}

    def enter(self, host: str | None, name: str) -> None:
        address = None if host is None else at(host)
        self.places[name] = self.handshakes.enter(address, lambda: self.gave_way.append(name))

    def leave(self, name: str) -> bool:
        return self.handshakes.leave(self.places[name])


def test_of_one_address_the_oldest_gives_way_to_the_newest():
    queue = Queue(max_pending_upgrades=10, max_pending_upgrades_per_ip=2)
    queue.enter("192.0.2.9", "other")
    for name in ("a", "b", "c", "d"):
        queue.enter("192.0.2.1", name)
    assert queue.gave_way == ["a", "b"]
    assert len(queue.handshakes) == 3
    assert [queue.leave(name) for name in ("a", "b", "c", "d", "other")] == [
        *(False, False, True, True, True),
    ]
    assert len(queue.handshakes) == 0
    assert not queue.leave("c")


def test_when_all_places_are_taken_the_address_with_most_gives_way():
    queue = Queue(max_pending_upgrades=5, max_pending_upgrades_per_ip=4)
    queue.enter("192.0.2.2", "first of all")
    for name in ("a", "b", "c"):
        queue.enter("192.0.2.1", name)
    queue.enter("192.0.2.3", "third")
    for name in ("d", "e"):
        queue.enter("192.0.2.4", name)
    assert queue.gave_way == ["a", "b"]
    assert len(queue.handshakes) == 5


def test_of_addresses_with_as_many_the_oldest_gives_way():
    queue = Queue(max_pending_upgrades=3)
    for number in range(6):
        queue.enter(f"192.0.2.{number}", str(number))
    assert queue.gave_way == ["0", "1", "2"]


def test_the_limit_per_address_does_not_hold_on_this_machine_but_that_of_all_does():
    queue = Queue(max_pending_upgrades=4, max_pending_upgrades_per_ip=1)
    for name in ("a", "b", "c", "d", "e"):
        queue.enter("127.0.0.1", name)
    queue.enter(None, "without an address")
    assert queue.gave_way == ["a", "b"]


def test_ten_thousand_attempts_from_one_address_take_no_place_of_another():
    queue = Queue()
    queue.enter("192.0.2.2", "honest")
    for number in range(10_000):
        queue.enter("192.0.2.1", str(number))
    assert len(queue.handshakes) == 17
    assert queue.leave("honest")
    assert queue.gave_way[:2] == ["0", "1"]
    assert len(queue.gave_way) == 10_000 - 16
