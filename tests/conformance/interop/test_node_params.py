from __future__ import annotations

import re

import pytest

from gossipsub import SignaturePolicy
from gossipsub.conformance.interop.node_params import (
    message_id,
    node_config,
    node_params,
    without_counterpart,
)
from gossipsub.wire.rpc import Message


def test_what_the_experiments_fix_for_every_node() -> None:
    params, config = node_params({}), node_config({})
    assert params.signature_policy is SignaturePolicy.STRICT_NO_SIGN
    assert params.extensions.partial_messages
    assert params.message_id(Message("t", b"12345678rest")) == b"12345678"
    assert config.max_rpc_bytes == 10 << 20
    assert (config.outbound_queue_rpcs, config.validation_queue) == (600, 600)


def test_a_message_without_eight_bytes_has_no_id() -> None:
    with pytest.raises(ValueError, match="a message of 7 bytes has no id"):
        message_id(Message("t", b"1234567"))


def test_go_s_names_become_ours_and_nanoseconds_become_seconds() -> None:
    given = {
        "D": 7,
        "Dlo": 6,
        "Dhi": 13,
        "Dscore": 5,
        "Dout": 3,
        "HistoryLength": 6,
        "HistoryGossip": 4,
        "Dlazy": 0,
        "GossipFactor": 0,
        "GossipRetransmission": 2,
        "HeartbeatInitialDelay": 100_100_000,
        "HeartbeatInterval": 700_000_000.0,
        "FanoutTTL": 30_000_000_000,
        "PrunePeers": 5,
        "PruneBackoff": 15_000_000_000,
        "UnsubscribeBackoff": 5_000_000_000,
        "Connectors": 3,
        "MaxPendingConnections": 9,
        "ConnectionTimeout": 1_500_000_000,
        "DirectConnectTicks": 20,
        "DirectConnectInitialDelay": 2_000_000_000,
        "OpportunisticGraftTicks": 10,
        "OpportunisticGraftPeers": 1,
        "GraftFloodThreshold": 4_000_000_000,
        "MaxIHaveLength": 100,
        "MaxIHaveMessages": 4,
        "MaxIDontWantLength": 7,
        "MaxIDontWantMessages": 8,
        "IWantFollowupTime": 500_000_000,
        "IDontWantMessageThreshold": 2048,
        "IDontWantMessageTTL": 5,
    }
    params, config = node_params(given), node_config(given)
    mesh, lazy, backoff = params.mesh, params.lazy, params.backoff
    assert (mesh.d, mesh.d_low, mesh.d_high, mesh.d_score, mesh.d_out) == (7, 6, 13, 5, 3)
    assert (mesh.opportunistic_graft_ticks, mesh.opportunistic_graft_peers) == (10, 1)
    assert (lazy.history_length, lazy.history_gossip, lazy.d_lazy) == (6, 4, 0)
    assert (lazy.gossip_factor, lazy.gossip_retransmission, lazy.iwant_followup) == (0, 2, 0.5)
    assert (lazy.max_ihave_length, lazy.max_ihave_messages) == (100, 4)
    assert (lazy.max_idontwant_length, lazy.max_idontwant_messages) == (7, 8)
    assert (lazy.idontwant_threshold, lazy.idontwant_heartbeats) == (2048, 5)
    assert (backoff.prune_backoff, backoff.unsubscribe_backoff) == (15, 5)
    assert backoff.graft_flood_threshold == 4
    assert (params.heartbeat_initial_delay, params.heartbeat_interval) == (0.1001, 0.7)
    assert (params.fanout_ttl, params.exchange_peers) == (30, 5)
    assert (params.direct_connect_ticks, params.direct_connect_delay) == (20, 2)
    assert (config.exchange_dials, config.exchange_queue) == (3, 9)
    assert config.exchange_dial_timeout == 1.5
    assert without_counterpart(given) == []


def test_what_is_null_is_as_if_it_were_not_there() -> None:
    assert node_params({"D": None, "HeartbeatInterval": None}).mesh == node_params({}).mesh


def test_parameters_without_counterpart_are_told() -> None:
    given = {"SlowHeartbeatWarning": 0.1, "D": 6, "Dnew": 1, "Dother": None}
    assert without_counterpart(given) == ["Dnew", "SlowHeartbeatWarning"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"D": 1.5}, "D: must be a whole number, not 1.5"),
        ({"HeartbeatInterval": -1}, "HeartbeatInterval: must not be negative"),
        ({"FanoutTTL": "1s"}, 'FanoutTTL: must be a number, not "1s"'),
        ({"D": 3}, "need 0 < d_low <= d <= d_high: 5, 3, 12"),
    ],
)
def test_values_that_cannot_be_are_named(given: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        node_params(given)
