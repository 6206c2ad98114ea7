"""Networks of GossipSub routers in virtual time, for tests and experiments.

The same router as in the live host, thousands of nodes in one process, no clock, no sockets, and
the same result for the same seed:

    network = Network(seed=1)
    nodes = network.add_nodes(50)
    connect_random(network, nodes, links=10)
    for node in nodes:
        network.subscribe(node, "news")
    network.run_for(3)
    network.publish(nodes[0], "news", 1024)
    network.run_for(3)
    print(network.report())

Whole experiments are in `gossipsub.testing.scenarios`.
"""

from __future__ import annotations

from gossipsub.router.effects import Lane, SendRpc, Validate, Verdict
from gossipsub.router.features import (
    FLOODSUB,
    GOSSIPSUB_V10,
    GOSSIPSUB_V11,
    GOSSIPSUB_V12,
    GOSSIPSUB_V13,
)
from gossipsub.router.params import GossipParams, LazyParams, MeshParams, SignaturePolicy
from gossipsub.router.router import Router
from gossipsub.testing.disturbance import Partition, churn, partition
from gossipsub.testing.links import Link
from gossipsub.testing.network import Network
from gossipsub.testing.nodes import Node
from gossipsub.testing.observer import EventLog, Observer
from gossipsub.testing.partial_topic import PartialTopic
from gossipsub.testing.report import Report
from gossipsub.testing.topology import (
    connect_all,
    connect_line,
    connect_random,
    connect_star,
    connect_tree,
)
from gossipsub.testing.trace_observer import TraceObserver
from gossipsub.testing.traffic import Traffic

__all__ = [
    "FLOODSUB",
    "GOSSIPSUB_V10",
    "GOSSIPSUB_V11",
    "GOSSIPSUB_V12",
    "GOSSIPSUB_V13",
    "EventLog",
    "GossipParams",
    "Lane",
    "LazyParams",
    "Link",
    "MeshParams",
    "Network",
    "Node",
    "Observer",
    "PartialTopic",
    "Partition",
    "Report",
    "Router",
    "SendRpc",
    "SignaturePolicy",
    "TraceObserver",
    "Traffic",
    "Validate",
    "Verdict",
    "churn",
    "connect_all",
    "connect_line",
    "connect_random",
    "connect_star",
    "connect_tree",
    "partition",
]
