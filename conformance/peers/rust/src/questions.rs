//! What drivers may ask of the node.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::{FutureExt, StreamExt};
use libp2p_gossipsub::TopicHash;
use libp2p_identity::PeerId;
use prometheus_client::registry::Registry;
use serde_json::{Map, Value, json};

use crate::node::{Node, SCORING_IS_OFF};
use crate::stats::Library;

/// What is under way in the library is worked off before counters are shown, but not for ever.
const EVENTS_BEFORE_STATS: usize = 10_000;

impl Node {
    /// Every connected peer; `protocol` is null while it is not known.
    pub fn peers(&self) -> Vec<Value> {
        let gossipsub = &self.swarm.behaviour().gossipsub;
        let topics: HashMap<_, _> = gossipsub.all_peers().collect();
        let kinds: HashMap<_, _> = gossipsub.peer_protocol().collect();
        let mut listed = BTreeMap::new();
        for (peer, connections) in &self.connections {
            let addresses: Vec<_> = connections.iter().map(|c| c.address.to_string()).collect();
            let kind = kinds.get(peer).map(|kind| format!("{kind:?}")).unwrap_or_default();
            let mut topics: Vec<_> =
                topics.get(peer).into_iter().flatten().map(|topic| topic.as_str()).collect();
            topics.sort();
            let entry = json!({
                "peer": peer.to_string(),
                "addrs": addresses,
                "direction": if connections[0].outbound { "out" } else { "in" },
                "topics": topics,
                "protocol": self.flags.params.protocol_named(&kind),
            });
            listed.insert(peer.to_string(), entry);
        }
        listed.into_values().collect()
    }

    pub fn mesh(&self, topic: &str) -> Vec<String> {
        let topic = TopicHash::from_raw(topic);
        sorted(self.swarm.behaviour().gossipsub.mesh_peers(&topic))
    }

    pub fn topic_peers(&self, topic: &str) -> Vec<String> {
        let topic = TopicHash::from_raw(topic);
        let peers = self.swarm.behaviour().gossipsub.all_peers();
        sorted(peers.filter(|(_, topics)| topics.contains(&&topic)).map(|(peer, _)| peer))
    }

    pub fn scores(&mut self) -> Result<Map<String, Value>, String> {
        let scoring = self.flags.score.as_mut().ok_or(SCORING_IS_OFF)?;
        let mut peers: HashSet<_> = scoring.retained().collect();
        peers.extend(self.connections.keys());
        let mut scores = Map::new();
        for peer in peers {
            let entry = json!({
                "score": self.swarm.behaviour().gossipsub.peer_score(&peer),
                "app_specific_score": scoring.app_score(&peer).unwrap_or_default(),
                "ip_colocation_factor": null,
                "behaviour_penalty": null,
                "topics": {},
            });
            scores.insert(peer.to_string(), entry);
        }
        Ok(scores)
    }

    pub async fn report_stats(&mut self) -> Map<String, Value> {
        // A copy is counted some steps before the application hears of it.
        for _ in 0..EVENTS_BEFORE_STATS {
            match self.swarm.next().now_or_never().flatten() {
                Some(event) => self.on_event(event).await,
                None => break,
            }
        }
        self.stats.report(self.library(), self.refusals.counted())
    }

    /// Answers with the counters as they were until now.
    pub async fn reset_stats(&mut self) -> Map<String, Value> {
        let report = self.report_stats().await;
        self.stats.reset(self.library());
        self.refusals.forget();
        report
    }

    pub fn library(&self) -> Library {
        Library {
            copies: self.copies.received(),
            own: self.copies.own(),
            invalid: self.registry.as_ref().map(count_invalid),
        }
    }
}

/// The library's metrics can be read in no other way than as text.
fn count_invalid(registry: &Registry) -> u64 {
    let mut text = String::new();
    if prometheus_client::encoding::text::encode(&mut text, registry).is_err() {
        return 0;
    }
    let counters = text.lines().filter(|line| line.starts_with("invalid_messages_per_topic_total"));
    counters.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

fn sorted<'a>(peers: impl Iterator<Item = &'a PeerId>) -> Vec<String> {
    let mut texts: Vec<_> = peers.map(PeerId::to_string).collect();
    texts.sort();
    texts
}
