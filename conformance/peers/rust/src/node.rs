//! The running node: one task that owns the library's swarm and does all commands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::{FutureExt, StreamExt};
use libp2p_core::transport::TransportError;
use libp2p_core::{ConnectedPoint, Multiaddr, multiaddr::Protocol};
use libp2p_gossipsub::{
    Event, IdentTopic, Message, MessageAcceptance, MessageId, PublishError, TopicHash,
};
use libp2p_identity::PeerId;
use libp2p_swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p_swarm::{ConnectionId, SwarmEvent};
use prometheus_client::registry::Registry;
use serde_json::json;
use tokio::sync::mpsc;

use crate::Refusal;
use crate::commands::{self, Answer};
use crate::copies::Copies;
use crate::flags::Flags;
use crate::output::Output;
use crate::publisher::{self, Order, Outcome, Run, Running};
use crate::refusals::Refusals;
use crate::stats::{Library, Stats};
use crate::swarm::{self, BehaviourEvent, Swarm};
use crate::validator::Rules;

const LISTENING_PATIENCE: Duration = Duration::from_secs(10);
/// Verdicts and messages to be published that may wait while the node has other work.
const WAITING: usize = 64;

pub const SCORING_IS_OFF: &str = "peer scoring is off (start with --score)";

type Happening = SwarmEvent<BehaviourEvent>;

pub struct Connection {
    id: ConnectionId,
    pub address: Multiaddr,
    pub outbound: bool,
}

/// A message that the application has judged.
struct Judged {
    verdict: MessageAcceptance,
    source: PeerId,
    id: MessageId,
    message: Message,
}

pub struct Node {
    pub stats: Stats,
    pub flags: Flags,
    out: Output,
    pub swarm: Swarm,
    pub copies: Copies,
    pub refusals: Refusals,
    pub registry: Option<Registry>,
    rules: Rules,
    pub connections: HashMap<PeerId, Vec<Connection>>,
    /// Topics that peers announced; the library does not say so when they leave.
    announced: HashMap<PeerId, BTreeSet<TopicHash>>,
    dials: HashMap<ConnectionId, (PeerId, Answer)>,
    running: Option<Running>,
    judged: (mpsc::Sender<Judged>, mpsc::Receiver<Judged>),
    orders: (mpsc::Sender<Order>, mpsc::Receiver<Order>),
}

impl Node {
    /// A node that listens and has said so.
    pub async fn start(mut flags: Flags, out: Output) -> Result<Self, Refusal> {
        let parts = swarm::build(&mut flags)?;
        let mut node = Node {
            stats: Stats::new(Library::default(), 0),
            flags,
            out,
            swarm: parts.swarm,
            copies: parts.copies,
            refusals: Refusals::start(),
            registry: parts.registry,
            rules: Rules::default(),
            connections: HashMap::new(),
            announced: HashMap::new(),
            dials: HashMap::new(),
            running: None,
            judged: mpsc::channel(WAITING),
            orders: mpsc::channel(WAITING),
        };
        node.stats.reset(node.library());
        let mut early = Vec::new();
        let addresses = tokio::time::timeout(LISTENING_PATIENCE, node.listen(&mut early))
            .await
            .map_err(|_| Refusal::Machine("no listening address in time".into()))??;
        node.introduce(&addresses).await;
        for event in early {
            node.on_event(event).await;
        }
        Ok(node)
    }

    /// `early`: what happens besides, to be heard when the node has introduced itself.
    async fn listen(&mut self, early: &mut Vec<Happening>) -> Result<Vec<Multiaddr>, Refusal> {
        let text = &self.flags.listen;
        let refuse = |why: String| Refusal::Usage(format!("--listen {text:?}: {why}"));
        let address: Multiaddr = text.parse().map_err(|why| refuse(format!("{why}")))?;
        self.swarm.listen_on(address).map_err(|why| match why {
            TransportError::MultiaddrNotSupported(_) => refuse("must be a TCP address".into()),
            TransportError::Other(why) => Refusal::Machine(format!("--listen {text:?}: {why}")),
        })?;
        let mut addresses = Vec::new();
        loop {
            // One address for each network interface; they come together.
            let event = match self.swarm.next().now_or_never().flatten() {
                None if !addresses.is_empty() => return Ok(addresses),
                None => self.swarm.select_next_some().await,
                Some(event) => event,
            };
            match event {
                SwarmEvent::NewListenAddr { address, .. } => addresses.push(address),
                SwarmEvent::ListenerClosed { reason: Err(why), .. } => {
                    return Err(Refusal::Machine(format!("cannot listen: {why}")));
                }
                event => early.push(event),
            }
        }
    }

    async fn introduce(&self, addresses: &[Multiaddr]) {
        let id = self.swarm.local_peer_id();
        let addresses: Vec<_> = addresses.iter().map(|addr| format!("{addr}/p2p/{id}")).collect();
        let mut unsupported = self.flags.params.unsupported.clone();
        unsupported.extend(self.flags.score.iter().flat_map(|score| score.unsupported.clone()));
        unsupported.sort();
        let event = json!({
            "event": "ready",
            "peer_id": id.to_string(),
            "addrs": addresses,
            "impl": "rust-libp2p",
            "versions": versions(),
            "pid": std::process::id(),
            "unsupported_params": unsupported,
        });
        self.out.send(event).await;
    }

    pub fn output(&self) -> Output {
        self.out.clone()
    }

    /// Returns on `exit` and at the end of the lines.
    pub async fn run(&mut self, mut lines: mpsc::Receiver<Vec<u8>>) {
        loop {
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_event(event).await,
                Some(judged) = self.judged.1.recv() => self.finish(judged).await,
                Some(order) = self.orders.1.recv() => {
                    let outcome = match self.publish(&order.topic, order.data) {
                        Ok(()) => Outcome::Sent,
                        Err(PublishError::AllQueuesFull(_)) => Outcome::Full,
                        Err(_) => Outcome::Failed,
                    };
                    let _ = order.outcome.send(outcome);
                }
                line = lines.recv() => match line {
                    Some(line) if commands::handle(self, &line).await => {}
                    _ => return,
                },
            }
        }
    }

    // -- events ------------------------------------------------------------------------------

    pub async fn on_event(&mut self, event: Happening) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Gossipsub(event)) => self.on_gossip(event).await,
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.on_connected(peer_id, connection_id, endpoint).await;
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, .. } => {
                self.on_closed(peer_id, connection_id).await;
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some((_, answer)) = self.dials.remove(&connection_id) {
                    answer.error(error.to_string()).await;
                }
            }
            _ => {}
        }
    }

    async fn on_gossip(&mut self, event: Event) {
        match event {
            Event::Message { propagation_source, message_id, message } => {
                self.stats.shown += 1;
                self.judge(propagation_source, message_id, message).await;
            }
            Event::Subscribed { peer_id, topic } => {
                self.tell_topic_peer("topic_peer_join", &topic, &peer_id).await;
                self.announced.entry(peer_id).or_default().insert(topic);
            }
            Event::Unsubscribed { peer_id, topic } => {
                self.tell_topic_peer("topic_peer_leave", &topic, &peer_id).await;
                if let Some(topics) = self.announced.get_mut(&peer_id) {
                    topics.remove(&topic);
                }
            }
            Event::SlowPeer { failed_messages, .. } => {
                let failed = failed_messages.priority + failed_messages.non_priority;
                self.stats.rpc_dropped += failed as u64;
            }
            Event::GossipsubNotSupported { .. } => {}
        }
    }

    async fn tell_topic_peer(&self, kind: &str, topic: &TopicHash, peer: &PeerId) {
        let event = json!({"event": kind, "topic": topic.as_str(), "peer": peer.to_string()});
        self.out.send(event).await;
    }

    async fn on_connected(&mut self, peer: PeerId, id: ConnectionId, endpoint: ConnectedPoint) {
        let outbound = endpoint.is_dialer();
        let mut address = endpoint.get_remote_address().clone();
        if let Some(Protocol::P2p(_)) = address.iter().last() {
            address.pop();
        }
        let connections = self.connections.entry(peer).or_default();
        connections.push(Connection { id, address, outbound });
        if connections.len() == 1 {
            if let Some(scoring) = &mut self.flags.score {
                scoring.peer_came(&peer);
                if let Some(score) = scoring.app_score(&peer) {
                    self.swarm.behaviour_mut().gossipsub.set_application_score(&peer, score);
                }
            }
            let event = json!({"event": "peer_connected", "peer": peer.to_string()});
            self.out.send(event).await;
        }
        if let Some((peer, answer)) = self.dials.remove(&id) {
            answer.ok(json!({"peer": peer.to_string()})).await;
        }
    }

    async fn on_closed(&mut self, peer: PeerId, id: ConnectionId) {
        if let Some(connections) = self.connections.get_mut(&peer) {
            connections.retain(|connection| connection.id != id);
            if !connections.is_empty() {
                return;
            }
        }
        self.connections.remove(&peer);
        if let Some(scoring) = &mut self.flags.score {
            scoring.peer_left(peer);
        }
        for topic in self.announced.remove(&peer).unwrap_or_default() {
            self.tell_topic_peer("topic_peer_leave", &topic, &peer).await;
        }
        let event = json!({"event": "peer_disconnected", "peer": peer.to_string()});
        self.out.send(event).await;
    }

    // -- messages ----------------------------------------------------------------------------

    async fn judge(&mut self, source: PeerId, id: MessageId, message: Message) {
        let (verdict, delay) = self.rules.judge(&message.topic, &message.data);
        let judged = Judged { verdict, source, id, message };
        if delay.is_zero() {
            self.finish(judged).await;
            return;
        }
        let done = self.judged.0.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = done.send(judged).await; // else the node has ended
        });
    }

    async fn finish(&mut self, judged: Judged) {
        if self.flags.params.validate {
            // It forgets messages whose verdict takes long, and then does not forward them.
            self.swarm.behaviour_mut().gossipsub.report_message_validation_result(
                &judged.id,
                &judged.source,
                judged.verdict,
            );
        }
        match judged.verdict {
            MessageAcceptance::Accept => self.deliver(judged.source, judged.message).await,
            MessageAcceptance::Reject => self.stats.rejected("validation failed"),
            MessageAcceptance::Ignore => self.stats.rejected("validation ignored"),
        }
    }

    async fn deliver(&mut self, source: PeerId, message: Message) {
        if !self.copies.counts_topic(&message.topic) {
            return; // unsubscribed while it was judged
        }
        let due = self.stats.delivered(message.source, &message.data);
        if !self.flags.quiet {
            let event = json!({
                "event": "message",
                "topic": message.topic.as_str(),
                "from": message.source.map(|author| author.to_string()),
                "received_from": source.to_string(),
                "data_b64": BASE64_STANDARD.encode(&message.data),
            });
            self.out.send(event).await;
        }
        if let Some(received) = due {
            self.out.send(json!({"event": "progress", "received": received})).await;
        }
    }

    // -- commands ----------------------------------------------------------------------------

    pub async fn connect(&mut self, peer: PeerId, address: Multiaddr, answer: Answer) {
        if self.connections.contains_key(&peer) {
            answer.ok(json!({"peer": peer.to_string()})).await;
            return;
        }
        // From a port of its own: the listening port cannot reach an address a second time while
        // the system remembers the first.
        let options = DialOpts::peer_id(peer)
            .condition(PeerCondition::Always)
            .addresses(vec![address])
            .allocate_new_port()
            .build();
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(id, (peer, answer));
            }
            Err(why) => answer.error(why.to_string()).await,
        }
    }

    pub fn disconnect(&mut self, peer: PeerId) {
        let _ = self.swarm.disconnect_peer_id(peer); // else it is not connected
    }

    pub fn subscribe(&mut self, name: &str) -> Result<(), String> {
        let topic = self.use_topic(name);
        match self.swarm.behaviour_mut().gossipsub.subscribe(&topic) {
            Ok(true) => {
                self.copies.count_topic(topic.hash(), true);
                Ok(())
            }
            Ok(false) => Err(format!("already subscribed to {name:?}")),
            Err(why) => Err(why.to_string()),
        }
    }

    pub fn unsubscribe(&mut self, name: &str) -> Result<(), String> {
        let topic = IdentTopic::new(name);
        if !self.swarm.behaviour_mut().gossipsub.unsubscribe(&topic) {
            return Err(format!("not subscribed to {name:?}"));
        }
        self.copies.count_topic(topic.hash(), false);
        Ok(())
    }

    pub fn publish(&mut self, name: &str, data: Vec<u8>) -> Result<(), PublishError> {
        let topic = self.use_topic(name);
        match self.swarm.behaviour_mut().gossipsub.publish(topic, data) {
            Ok(_) | Err(PublishError::Duplicate) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// The library has score parameters for each topic, and none for all.
    fn use_topic(&mut self, name: &str) -> IdentTopic {
        let topic = IdentTopic::new(name);
        let scoring = self.flags.score.as_mut();
        if let Some(params) = scoring.and_then(|scoring| scoring.use_topic(&topic.hash())) {
            let gossipsub = &mut self.swarm.behaviour_mut().gossipsub;
            gossipsub.set_topic_params(topic.clone(), params).expect("scoring is on");
        }
        topic
    }

    pub async fn start_run(&mut self, run: Run, answer: Answer) {
        if self.running.as_ref().is_some_and(|running| !running.is_over()) {
            answer.error("another publish_many is running".into()).await;
            return;
        }
        self.running = Some(publisher::start(run, self.orders.0.clone(), answer));
    }

    pub fn stop_run(&self) {
        if let Some(running) = &self.running {
            running.stop();
        }
    }

    pub fn credit(&self, received: u64) {
        if let Some(running) = &self.running {
            running.credit(received);
        }
    }

    pub fn set_rule(
        &mut self,
        topic: &str,
        verdict: &str,
        prefix: Vec<u8>,
        delay: Duration,
    ) -> Result<(), String> {
        if !self.flags.params.validate {
            return Err("unsupported: it was started with validate false".into());
        }
        self.rules.set(TopicHash::from_raw(topic), verdict, prefix, delay)
    }

    pub fn set_app_score(&mut self, peer: PeerId, score: f64) -> Result<(), String> {
        let scoring = self.flags.score.as_mut().ok_or(SCORING_IS_OFF)?;
        scoring.set_app_score(peer, score);
        self.swarm.behaviour_mut().gossipsub.set_application_score(&peer, score);
        Ok(())
    }
}

/// Those pinned in the manifest.
fn versions() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("../Cargo.toml").lines();
    lines
        .filter(|line| line.starts_with("libp2p-"))
        .filter_map(|line| Some((line.split_once(" =")?.0, line.split('"').nth(1)?)))
        .map(|(name, version)| (name, version.trim_start_matches('=')))
        .collect()
}
