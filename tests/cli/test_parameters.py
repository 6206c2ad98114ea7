"""`--param NAME=VALUE`."""

from __future__ import annotations

import argparse
from dataclasses import replace

import pytest

from gossipsub import BackoffParams, GossipParams, HostConfig, MeshParams
from gossipsub.cli.parameters import apply, parameter


def test_nothing_given_is_the_defaults() -> None:
    assert apply([]) == (GossipParams(), HostConfig())


def test_fields_are_changed_by_name_and_all_at_once() -> None:
    given = [
        "mesh.d_high=30", "mesh.d=20", "mesh.d_low=15", "heartbeat_interval=0.7",
        "flood_publish=false", "backoff.prune_backoff=5", "max_connections=9",
        "overhead_bytes_per_second=1e6", "exchange_private_dials=true",
    ]  # fmt: skip
    params, config = apply([parameter(text) for text in given])
    assert params == GossipParams(
        mesh=replace(MeshParams(), d=20, d_low=15, d_high=30),
        backoff=replace(BackoffParams(), prune_backoff=5.0),
        heartbeat_interval=0.7,
        flood_publish=False,
    )
    assert config == HostConfig(
        max_connections=9, overhead_bytes_per_second=1e6, exchange_private_dials=True
    )


def test_a_limit_that_may_be_none_can_be_taken_away() -> None:
    _, config = apply([("overhead_bytes_per_second", "none")])
    assert config.overhead_bytes_per_second is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mesh.dd=8", "no such parameter: mesh.dd (did you mean mesh.d?)"),
        ("zzz=8", "no such parameter: zzz"),
        ("mesh=8", "no such parameter: mesh (did you mean mesh.d?)"),
        ("mesh.d=8.5", "mesh.d: a whole number, not '8.5'"),
        ("heartbeat_interval=inf", "heartbeat_interval: a number, not 'inf'"),
        ("heartbeat_interval=soon", "heartbeat_interval: a number, not 'soon'"),
        ("flood_publish=1", "flood_publish: true or false, not '1'"),
        ("mesh.d=13", "need 0 < d_low <= d <= d_high: 5, 13, 12"),
        ("max_connections=0", "max_connections must be a positive number: 0"),
    ],
)
def test_what_cannot_be_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint.split(" ")[0]) as refused:
        apply([parameter(text)])
    assert str(refused.value) == complaint


@pytest.mark.parametrize("text", ["mesh.d", "=8", ""])
def test_a_parameter_has_a_name_and_a_value(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="not NAME=VALUE: "):
        parameter(text)
