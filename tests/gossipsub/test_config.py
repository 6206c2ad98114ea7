from __future__ import annotations

from dataclasses import fields

import pytest

from gossipsub.config import HostConfig
from gossipsub.host import Host
from gossipsub.pubsub.inbox import Overflow
from gossipsub.router.params import MeshParams
from gossipsub.wire.errors import LocalProtocolError

MAY_BE_ZERO = "validation_workers"
COUNTS = [
    field.name for field in fields(HostConfig) if field.type == "int" and field.name != MAY_BE_ZERO
]
SECONDS = [field.name for field in fields(HostConfig) if field.type == "float"]
OPTIONS = [field.name for field in fields(HostConfig) if field.type == "float | None"]
OPTIONAL_COUNTS = [field.name for field in fields(HostConfig) if field.type == "int | None"]
NETWORKS = [field.name for field in fields(HostConfig) if field.type == "tuple[str, ...]"]


SWITCHES = [field.name for field in fields(HostConfig) if field.type == "bool"]
LIBRARY = "signature_library"
POLICIES = [field.name for field in fields(HostConfig) if field.type == "Overflow"]


def test_the_kind_of_every_field_is_tested_here():
    kinds = [COUNTS, [MAY_BE_ZERO], SECONDS, SWITCHES, POLICIES, OPTIONS, OPTIONAL_COUNTS, NETWORKS]
    assert sum(len(names) for names in [*kinds, [LIBRARY]]) == len(fields(HostConfig))
    HostConfig()


@pytest.mark.parametrize("name", OPTIONS)
def test_a_limit_that_may_be_absent_is_positive_where_it_is_given(name):
    assert getattr(HostConfig(**{name: None}), name) is None
    assert getattr(HostConfig(**{name: 0.5}), name) == 0.5
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: 0})
    assert str(refused.value) == f"{name} must be a positive number: 0"


@pytest.mark.parametrize(
    "wrong", [lambda: HostConfig(max_connections=0), lambda: MeshParams(d=-1), lambda: Host(key=5)]
)
def test_whatever_is_wrong_in_the_settings_of_a_host_is_a_value_error(wrong):
    with pytest.raises(ValueError):  # noqa: PT011
        wrong()


@pytest.mark.parametrize("name", ["auto", "cryptography", "pynacl"])
def test_signatures_are_verified_by_a_library_that_is_known(name):
    assert HostConfig(**{LIBRARY: name}).signature_library == name
    for wrong in ("openssl", "", None, 1):
        with pytest.raises(LocalProtocolError) as refused:
            HostConfig(**{LIBRARY: wrong})
        expected = f"{LIBRARY} is one of auto, cryptography, pynacl: {wrong!r}"
        assert str(refused.value) == expected


@pytest.mark.parametrize("name", OPTIONAL_COUNTS)
def test_a_count_that_may_be_absent_is_positive_and_whole_where_it_is_given(name):
    assert getattr(HostConfig(**{name: None}), name) is None
    for value, complaint in ((0, "a positive number: 0"), (1.5, "a whole number: 1.5")):
        with pytest.raises(LocalProtocolError) as refused:
            HostConfig(**{name: value})
        assert str(refused.value) == f"{name} must be {complaint}"


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_given_as_a_tuple_of_texts(name):
    given = ("10.0.0.0/8", "2001:db8::/32", "192.0.2.1")
    assert getattr(HostConfig(**{name: given}), name) == given
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: "10.0.0.0/8"})
    assert str(refused.value) == f"{name} is a tuple of networks: '10.0.0.0/8'"
    for wrong in ("10.0.0.1/8", "example.org", None):
        with pytest.raises(LocalProtocolError) as refused:
            HostConfig(**{name: (wrong,)})
        assert str(refused.value) == f"{name} has what is no network: {wrong!r}"


@pytest.mark.parametrize(
    ("given", "marks"),
    [
        ({}, (896, 768)),
        ({"max_connections": 3}, (3, 3)),
        ({"max_connections": 100, "trim_above": 20}, (20, 20)),
        ({"max_connections": 100, "trim_to": 95}, (95, 95)),
        ({"max_connections": 100, "trim_above": 50, "trim_to": 10}, (50, 10)),
    ],
)
def test_the_marks_of_trimming_follow_the_limit_and_each_other(given, marks):
    assert HostConfig(**given).trim_marks() == marks


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"trim_above": 10, "trim_to": 11}, "11, 10, 1024"),
        ({"trim_above": 11, "max_connections": 10}, "8, 11, 10"),
        ({"trim_to": 11, "max_connections": 10}, "11, 11, 10"),
    ],
)
def test_the_marks_of_trimming_are_in_order(given, told):
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**given)
    order = "need trim_to <= trim_above <= max_connections: "
    assert str(refused.value) == order + told


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off(name):
    assert getattr(HostConfig(**{name: True}), name) is True
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: 1})
    assert str(refused.value) == f"{name} must be True or False: 1"


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_is_one_that_there_is(name):
    assert getattr(HostConfig(**{name: Overflow.ERROR}), name) is Overflow.ERROR
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: "error"})
    assert str(refused.value) == f"{name} must be an Overflow: 'error'"


@pytest.mark.parametrize("name", [*COUNTS, *SECONDS])
@pytest.mark.parametrize("value", [0, -1, -0.5, float("nan"), None, "1", True])
def test_what_is_no_positive_number_is_refused_by_name(name, value):
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: value})
    assert str(refused.value) == f"{name} must be a positive number: {value!r}"


@pytest.mark.parametrize("value", [-1, 0.5, float("nan"), None, "1", False])
def test_there_may_be_no_worker_but_nothing_else(value):
    assert HostConfig(**{MAY_BE_ZERO: 0}).validation_workers == 0
    assert HostConfig(**{MAY_BE_ZERO: 3}).validation_workers == 3
    with pytest.raises(LocalProtocolError):
        HostConfig(**{MAY_BE_ZERO: value})


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_whole(name):
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: 1.5})
    assert str(refused.value) == f"{name} must be a whole number: 1.5"


@pytest.mark.parametrize("name", SECONDS)
def test_a_time_may_be_a_fraction_or_whole(name):
    assert getattr(HostConfig(**{name: 0.25}), name) == 0.25
    assert getattr(HostConfig(**{name: 3}), name) == 3


def test_a_queue_too_small_for_the_largest_rpc_is_refused():
    assert HostConfig(max_rpc_bytes=1000, outbound_queue_bytes=1000).max_rpc_bytes == 1000
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(max_rpc_bytes=1001, outbound_queue_bytes=1000)
    assert str(refused.value) == (
        "need max_rpc_bytes <= outbound_queue_bytes, or the largest RPCs can never leave: "
        "1001, 1000"
    )
