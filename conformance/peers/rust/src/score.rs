//! Peer scoring: its parameters, and what this library has no memory of.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use libp2p_gossipsub::{PeerScoreParams, PeerScoreThresholds, TopicHash, TopicScoreParams};
use libp2p_identity::PeerId;
use serde::Deserialize;

use crate::params::duration;

/// The library refuses shorter times between decays.
const SHORTEST_DECAY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct TopicFields {
    topic_weight: f64,
    time_in_mesh_weight: f64,
    time_in_mesh_quantum_ms: f64,
    time_in_mesh_cap: f64,
    first_message_deliveries_weight: f64,
    first_message_deliveries_decay: f64,
    first_message_deliveries_cap: f64,
    mesh_message_deliveries_weight: f64,
    mesh_message_deliveries_decay: f64,
    mesh_message_deliveries_cap: f64,
    mesh_message_deliveries_threshold: f64,
    mesh_message_deliveries_window_ms: f64,
    mesh_message_deliveries_activation_ms: f64,
    mesh_failure_penalty_weight: f64,
    mesh_failure_penalty_decay: f64,
    invalid_message_deliveries_weight: f64,
    invalid_message_deliveries_decay: f64,
}

impl Default for TopicFields {
    fn default() -> Self {
        TopicFields {
            topic_weight: 1.0,
            time_in_mesh_weight: 0.01,
            time_in_mesh_quantum_ms: 1000.0,
            time_in_mesh_cap: 100.0,
            first_message_deliveries_weight: 1.0,
            first_message_deliveries_decay: 0.5,
            first_message_deliveries_cap: 100.0,
            mesh_message_deliveries_weight: 0.0,
            mesh_message_deliveries_decay: 0.0,
            mesh_message_deliveries_cap: 0.0,
            mesh_message_deliveries_threshold: 0.0,
            mesh_message_deliveries_window_ms: 0.0,
            mesh_message_deliveries_activation_ms: 0.0,
            mesh_failure_penalty_weight: 0.0,
            mesh_failure_penalty_decay: 0.0,
            invalid_message_deliveries_weight: -10.0,
            invalid_message_deliveries_decay: 0.9,
        }
    }
}

impl TopicFields {
    fn params(&self) -> Result<TopicScoreParams, String> {
        let params = TopicScoreParams {
            topic_weight: self.topic_weight,
            time_in_mesh_weight: self.time_in_mesh_weight,
            time_in_mesh_quantum: duration(self.time_in_mesh_quantum_ms)?,
            time_in_mesh_cap: self.time_in_mesh_cap,
            first_message_deliveries_weight: self.first_message_deliveries_weight,
            first_message_deliveries_decay: self.first_message_deliveries_decay,
            first_message_deliveries_cap: self.first_message_deliveries_cap,
            mesh_message_deliveries_weight: self.mesh_message_deliveries_weight,
            mesh_message_deliveries_decay: self.mesh_message_deliveries_decay,
            mesh_message_deliveries_cap: self.mesh_message_deliveries_cap,
            mesh_message_deliveries_threshold: self.mesh_message_deliveries_threshold,
            mesh_message_deliveries_window: duration(self.mesh_message_deliveries_window_ms)?,
            mesh_message_deliveries_activation: duration(
                self.mesh_message_deliveries_activation_ms,
            )?,
            mesh_failure_penalty_weight: self.mesh_failure_penalty_weight,
            mesh_failure_penalty_decay: self.mesh_failure_penalty_decay,
            invalid_message_deliveries_weight: self.invalid_message_deliveries_weight,
            invalid_message_deliveries_decay: self.invalid_message_deliveries_decay,
        };
        params.validate()?;
        Ok(params)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Fields {
    topics: Option<BTreeMap<String, TopicFields>>,
    topic_score_cap: f64,
    app_specific_weight: f64,
    app_scores: BTreeMap<String, f64>,
    ip_colocation_factor_weight: f64,
    ip_colocation_factor_threshold: f64,
    behaviour_penalty_weight: f64,
    behaviour_penalty_threshold: f64,
    behaviour_penalty_decay: f64,
    decay_interval_ms: f64,
    decay_to_zero: f64,
    retain_score_ms: f64,
    thresholds: Thresholds,
}

impl Default for Fields {
    fn default() -> Self {
        Fields {
            topics: None,
            topic_score_cap: 0.0,
            app_specific_weight: 1.0,
            app_scores: BTreeMap::new(),
            ip_colocation_factor_weight: 0.0,
            ip_colocation_factor_threshold: 1.0,
            behaviour_penalty_weight: -1.0,
            behaviour_penalty_threshold: 6.0,
            behaviour_penalty_decay: 0.9,
            decay_interval_ms: 1000.0,
            decay_to_zero: 0.01,
            retain_score_ms: 10_000.0,
            thresholds: Thresholds::default(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Thresholds {
    gossip: f64,
    publish: f64,
    graylist: f64,
    #[serde(rename = "acceptPX")]
    accept_px: f64,
    opportunistic_graft: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds {
            gossip: -10.0,
            publish: -50.0,
            graylist: -80.0,
            accept_px: 10.0,
            opportunistic_graft: 1.0,
        }
    }
}

pub struct Scoring {
    pub params: PeerScoreParams,
    pub thresholds: PeerScoreThresholds,
    pub unsupported: Vec<String>,
    /// What topics without an entry of their own get when they are first used.
    every_topic: Option<TopicScoreParams>,
    scored_topics: HashSet<TopicHash>,
    /// The application's scores; the library forgets those of peers that are not there.
    app_scores: HashMap<PeerId, f64>,
    /// When peers left whose scores are still kept.
    left: HashMap<PeerId, Instant>,
}

pub fn parse(text: &str) -> Result<Scoring, String> {
    let fields: Fields = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut named = fields.topics.unwrap_or_else(|| [("*".into(), TopicFields::default())].into());
    let read = |name: &str, topic: &TopicFields| {
        topic.params().map_err(|why| format!("topics: {name:?}: {why}"))
    };
    let every_topic = named.remove("*").map(|topic| read("*", &topic)).transpose()?;
    let mut topics = HashMap::new();
    for (name, topic) in &named {
        topics.insert(TopicHash::from_raw(name), read(name, topic)?);
    }
    let mut app_scores = HashMap::new();
    for (name, score) in fields.app_scores {
        let peer = name.parse().map_err(|error| format!("appScores: {name:?}: {error}"))?;
        app_scores.insert(peer, score);
    }
    let mut unsupported = Vec::new();
    let wanted =
        duration(fields.decay_interval_ms).map_err(|why| format!("decayIntervalMs: {why}"))?;
    if wanted.is_zero() {
        return Err("decayIntervalMs: must be above 0".into());
    }
    if wanted < SHORTEST_DECAY_INTERVAL {
        unsupported.push("score.decayIntervalMs".into());
    }
    let params = PeerScoreParams {
        topics: topics.clone(),
        topic_score_cap: fields.topic_score_cap,
        app_specific_weight: fields.app_specific_weight,
        ip_colocation_factor_weight: fields.ip_colocation_factor_weight,
        ip_colocation_factor_threshold: fields.ip_colocation_factor_threshold,
        ip_colocation_factor_whitelist: HashSet::new(),
        behaviour_penalty_weight: fields.behaviour_penalty_weight,
        behaviour_penalty_threshold: fields.behaviour_penalty_threshold,
        behaviour_penalty_decay: fields.behaviour_penalty_decay,
        decay_interval: wanted.max(SHORTEST_DECAY_INTERVAL),
        decay_to_zero: fields.decay_to_zero,
        retain_score: duration(fields.retain_score_ms)
            .map_err(|why| format!("retainScoreMs: {why}"))?,
        slow_peer_weight: 0.0, // no other library has it
        slow_peer_threshold: 0.0,
        slow_peer_decay: 0.2,
    };
    let thresholds = PeerScoreThresholds {
        gossip_threshold: fields.thresholds.gossip,
        publish_threshold: fields.thresholds.publish,
        graylist_threshold: fields.thresholds.graylist,
        accept_px_threshold: fields.thresholds.accept_px,
        opportunistic_graft_threshold: fields.thresholds.opportunistic_graft,
    };
    params.validate()?;
    thresholds.validate()?;
    Ok(Scoring {
        params,
        thresholds,
        unsupported,
        every_topic,
        scored_topics: topics.into_keys().collect(),
        app_scores,
        left: HashMap::new(),
    })
}

impl Scoring {
    /// The parameters that a topic must be given now, since it is used for the first time.
    pub fn use_topic(&mut self, topic: &TopicHash) -> Option<TopicScoreParams> {
        let params = self.every_topic.as_ref()?;
        self.scored_topics.insert(topic.clone()).then(|| params.clone())
    }

    pub fn set_app_score(&mut self, peer: PeerId, score: f64) {
        self.app_scores.insert(peer, score);
    }

    pub fn app_score(&self, peer: &PeerId) -> Option<f64> {
        self.app_scores.get(peer).copied()
    }

    pub fn peer_came(&mut self, peer: &PeerId) {
        self.left.remove(peer);
    }

    pub fn peer_left(&mut self, peer: PeerId) {
        self.forget_expired();
        self.left.insert(peer, Instant::now());
    }

    /// Peers that are not there, but whose scores are.
    pub fn retained(&mut self) -> impl Iterator<Item = PeerId> {
        self.forget_expired();
        self.left.keys().copied()
    }

    fn forget_expired(&mut self) {
        self.left.retain(|_, left| left.elapsed() < self.params.retain_score);
    }
}
