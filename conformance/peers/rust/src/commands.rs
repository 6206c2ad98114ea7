//! Commands as they come in, and their answers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use libp2p_identity::PeerId;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::node::Node;
use crate::output::Output;
use crate::params::{duration, parse_address};
use crate::publisher::Run;
use crate::stats::STAMP_BYTES;

/// The fields of all commands.
#[derive(Deserialize)]
struct Request {
    addr: Option<String>,
    peer: Option<String>,
    topic: Option<String>,
    data_b64: Option<String>,
    prefix_b64: Option<String>,
    verdict: Option<String>,
    delay_ms: Option<f64>,
    score: Option<f64>,
    every: Option<i64>,
    received: Option<u64>,
    count: Option<i64>,
    size: Option<usize>,
    window: Option<i64>,
    rate: Option<f64>,
    first_seq: Option<u64>,
    timeout_ms: Option<f64>,
}

/// Where a command's one answer goes.
pub struct Answer {
    command: String,
    id: Option<Value>,
    out: Output,
}

impl Answer {
    pub async fn ok(self, fields: Value) {
        self.send("ok", fields).await;
    }

    pub async fn error(self, reason: String) {
        self.send("error", json!({"error": reason})).await;
    }

    async fn send(self, event: &str, fields: Value) {
        let mut line = Map::new();
        line.insert("event".into(), event.into());
        line.insert("cmd".into(), self.command.into());
        if let Some(id) = self.id {
            line.insert("id".into(), id);
        }
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        self.out.send(line.into()).await;
    }
}

/// Reports false when the node shall end.
pub async fn handle(node: &mut Node, line: &[u8]) -> bool {
    let parsed: Result<Value, _> = serde_json::from_slice(line);
    let value = parsed.as_ref().unwrap_or(&Value::Null);
    let command = value.get("cmd").and_then(Value::as_str).unwrap_or_default().to_owned();
    let answer =
        Answer { command: command.clone(), id: value.get("id").cloned(), out: node.output() };
    let request = match parsed.and_then(serde_json::from_value::<Request>) {
        Ok(request) => request,
        Err(error) => {
            answer.error(format!("not a command: {error}")).await;
            return true;
        }
    };
    let result = match command.as_str() {
        "exit" => {
            answer.ok(json!({})).await;
            return false;
        }
        "credit" => {
            node.credit(request.received.unwrap_or_default());
            return true;
        }
        "connect" => match request.address() {
            Ok((peer, address)) => {
                node.connect(peer, address, answer).await;
                return true;
            }
            Err(reason) => Err(reason),
        },
        "publish_many" => match request.run() {
            Ok(run) => {
                node.start_run(run, answer).await;
                return true;
            }
            Err(reason) => Err(reason),
        },
        _ => request.perform(node, &command).await,
    };
    match result {
        Ok(fields) => answer.ok(fields).await,
        Err(reason) => answer.error(reason).await,
    }
    true
}

impl Request {
    async fn perform(self, node: &mut Node, command: &str) -> Result<Value, String> {
        match command {
            "disconnect" => node.disconnect(self.peer()?),
            "subscribe" => node.subscribe(self.topic()?)?,
            "unsubscribe" => node.unsubscribe(self.topic()?)?,
            "publish" => {
                let data = decode(self.data_b64.as_deref().ok_or("data_b64: missing")?);
                let data = data.map_err(|why| format!("data_b64: {why}"))?;
                node.publish(self.topic()?, data).map_err(|why| why.to_string())?;
            }
            "publish_stop" => node.stop_run(),
            "progress" => {
                let every = self.every.ok_or("every: missing")?;
                let every = every.try_into().map_err(|_| "every: must not be negative")?;
                node.stats.report_every(every);
            }
            "peers" => return Ok(json!({"peers": node.peers()})),
            "mesh" => return Ok(json!({"peers": node.mesh(self.topic()?)})),
            "topic_peers" => return Ok(json!({"peers": node.topic_peers(self.topic()?)})),
            "scores" => return Ok(json!({"scores": node.scores()?})),
            "app_score" => {
                node.set_app_score(self.peer()?, self.score.ok_or("score: missing")?)?;
            }
            "validator" => {
                let verdict = self.verdict.as_deref().ok_or("verdict: missing")?;
                let prefix = decode(self.prefix_b64.as_deref().unwrap_or_default())
                    .map_err(|why| format!("prefix_b64: {why}"))?;
                let delay = duration(self.delay_ms.unwrap_or_default())
                    .map_err(|why| format!("delay_ms: {why}"))?;
                node.set_rule(self.topic()?, verdict, prefix, delay)?;
            }
            "stats" => return Ok(node.report_stats().await.into()),
            "reset_stats" => return Ok(node.reset_stats().await.into()),
            _ => return Err(format!("unknown command {command:?}")),
        }
        Ok(json!({}))
    }

    fn topic(&self) -> Result<&str, &'static str> {
        self.topic.as_deref().ok_or("topic: missing")
    }

    fn peer(&self) -> Result<PeerId, String> {
        let text = self.peer.as_deref().ok_or("peer: missing")?;
        text.parse().map_err(|error| format!("peer {text:?}: {error}"))
    }

    fn address(&self) -> Result<(PeerId, libp2p_core::Multiaddr), String> {
        parse_address(self.addr.as_deref().ok_or("addr: missing")?)
            .map_err(|why| format!("addr: {why}"))
    }

    fn run(self) -> Result<Run, String> {
        let window: u64 = self
            .window
            .unwrap_or_default()
            .try_into()
            .map_err(|_| "window: must not be negative")?;
        let rate = self.rate.unwrap_or_default();
        if rate < 0.0 {
            return Err("rate: must not be negative".into());
        }
        let timeout = duration(self.timeout_ms.unwrap_or_default())
            .map_err(|why| format!("timeout_ms: {why}"))?;
        Ok(Run {
            topic: self.topic()?.to_owned(),
            count: self
                .count
                .ok_or("count: missing")?
                .try_into()
                .map_err(|_| "count: must not be negative")?,
            size: self
                .size
                .filter(|size| *size >= STAMP_BYTES)
                .ok_or("size: must be at least 16")?,
            window: (window > 0).then_some(window),
            rate: (rate > 0.0).then_some(rate),
            first_sequence: self.first_seq.unwrap_or_default(),
            timeout: (!timeout.is_zero()).then_some(timeout),
        })
    }
}

fn decode(text: &str) -> Result<Vec<u8>, base64::DecodeError> {
    BASE64_STANDARD.decode(text)
}
