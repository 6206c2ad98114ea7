from __future__ import annotations

from dataclasses import fields

import pytest

from gossipsub.config import HostConfig
from gossipsub.host import Host
from gossipsub.router.params import MeshParams
from gossipsub.wire.errors import LocalProtocolError

MAY_BE_ZERO = "validation_workers"
COUNTS = [
    field.name for field in fields(HostConfig) if field.type == "int" and field.name != MAY_BE_ZERO
]
SECONDS = [field.name for field in fields(HostConfig) if field.type == "float"]
OPTIONS = [field.name for field in fields(HostConfig) if field.type == "float | None"]


SWITCHES = [field.name for field in fields(HostConfig) if field.type == "bool"]


def test_every_field_is_a_count_a_time_a_switch_or_a_limit_that_may_be_absent():
    kinds = [COUNTS, [MAY_BE_ZERO], SECONDS, SWITCHES, OPTIONS]
    assert sum(len(names) for names in kinds) == len(fields(HostConfig))
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


@pytest.mark.parametrize("name", SWITCHES)
def test_a_switch_is_on_or_off(name):
    assert getattr(HostConfig(**{name: True}), name) is True
    with pytest.raises(LocalProtocolError) as refused:
        HostConfig(**{name: 1})
    assert str(refused.value) == f"{name} must be True or False: 1"


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
