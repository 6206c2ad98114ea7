//! The router's parameters; whatever is left out keeps the library's default.

use std::time::Duration;

use libp2p_core::Multiaddr;
use libp2p_core::multiaddr::Protocol;
use libp2p_gossipsub::{ConfigBuilder, Version};
use libp2p_identity::PeerId;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const PROTOCOLS: [&str; 4] =
    ["/meshsub/1.3.0", "/meshsub/1.2.0", "/meshsub/1.1.0", "/meshsub/1.0.0"];
const FLOODSUB: &str = "/floodsub/1.0.0";

pub struct Params {
    pub config: ConfigBuilder,
    /// In their order; each is spoken as the v1.x its end says.
    pub protocols: Vec<String>,
    pub direct: Vec<(PeerId, Multiaddr)>,
    /// Whether the library waits for the application's verdicts.
    pub validate: bool,
    pub metrics: bool,
    pub unsupported: Vec<String>,
}

pub fn parse(text: &str) -> Result<Params, String> {
    let values: Map<String, Value> =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut params = Params {
        config: ConfigBuilder::default(),
        protocols: PROTOCOLS.map(String::from).to_vec(),
        direct: Vec::new(),
        validate: true,
        metrics: true,
        unsupported: Vec::new(),
    };
    for (name, value) in &values {
        let known = params.set_number(name, value).and_then(|known| {
            Ok(known || params.set_time(name, value)? || params.set_other(name, value)?)
        });
        match known.map_err(|why| format!("{name}: {why}"))? {
            true => {}
            false => return Err(format!("unknown parameter {name:?}")),
        }
    }
    Ok(params)
}

impl Params {
    fn set_number(&mut self, name: &str, value: &Value) -> Result<bool, String> {
        let config = &mut self.config;
        match name {
            "D" => config.mesh_n(decode(value)?),
            "Dlo" => config.mesh_n_low(decode(value)?),
            "Dhi" => config.mesh_n_high(decode(value)?),
            "Dscore" => config.retain_scores(decode(value)?),
            "Dout" => config.mesh_outbound_min(decode(value)?),
            "Dlazy" => config.gossip_lazy(decode(value)?),
            "gossipFactor" => config.gossip_factor(decode(value)?),
            "gossipRetransmission" => config.gossip_retransimission(decode(value)?),
            "historyLength" => config.history_length(decode(value)?),
            "historyGossip" => config.history_gossip(decode(value)?),
            "prunePeers" => config.prune_peers(decode(value)?),
            "opportunisticGraftTicks" => config.opportunistic_graft_ticks(decode(value)?),
            "opportunisticGraftPeers" => config.opportunistic_graft_peers(decode(value)?),
            "maxIHaveLength" => config.max_control_messages_sent(decode(value)?),
            "maxIHaveMessages" => config.max_ihave_messages_heartbeat(decode(value)?),
            "idontwantThreshold" => config.idontwant_message_size_threshold(decode(value)?),
            "maxMessageSize" => config.max_transmit_size(positive(value)?),
            "outboundQueue" => config.connection_handler_queue_len(positive(value)?),
            _ => return Ok(false),
        };
        Ok(true)
    }

    fn set_time(&mut self, name: &str, value: &Value) -> Result<bool, String> {
        let config = &mut self.config;
        match name {
            "heartbeatMs" => match decode_duration(value)? {
                Duration::ZERO => return Err("must be above 0".into()),
                interval => config.heartbeat_interval(interval),
            },
            "heartbeatInitialDelayMs" => config.heartbeat_initial_delay(decode_duration(value)?),
            "fanoutTTLMs" => config.fanout_ttl(decode_duration(value)?),
            "pruneBackoffMs" => config.prune_backoff(decode_duration(value)?),
            "unsubscribeBackoffMs" => config.unsubscribe_backoff(decode_duration(value)?),
            "graftFloodThresholdMs" => config.graft_flood_threshold(decode_duration(value)?),
            "iwantFollowupMs" => config.iwant_followup_time(decode_duration(value)?),
            "seenTTLMs" => config.duplicate_cache_time(decode_duration(value)?),
            _ => return Ok(false),
        };
        Ok(true)
    }

    fn set_other(&mut self, name: &str, value: &Value) -> Result<bool, String> {
        match name {
            "floodPublish" => {
                self.config.flood_publish(decode(value)?);
            }
            "doPX" => {
                if decode(value)? {
                    self.config.do_px();
                }
            }
            "protocols" => {
                if !self.set_protocols(decode(value)?)? {
                    self.unsupported.push(name.into());
                }
            }
            "direct" => {
                for text in decode::<Vec<String>>(value)? {
                    self.direct.push(parse_address(&text)?);
                }
            }
            "validate" => self.validate = decode_switch(value)?,
            "metrics" => self.metrics = decode_switch(value)?,
            "validateQueue" | "validateThrottle" | "validateWorkers" | "subBuffer" => {
                positive(value)?;
                self.unsupported.push(name.into());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Reports whether the library can speak exactly these.
    fn set_protocols(&mut self, mut protocols: Vec<String>) -> Result<bool, String> {
        if protocols.is_empty() {
            return Err("must name at least one protocol".into());
        }
        if let Some(wrong) = protocols.iter().find(|name| !name.starts_with('/')) {
            return Err(format!("{wrong:?}: must begin with /"));
        }
        let all = protocols.clone();
        let floodsub = protocols.len() > 1 && protocols.last().is_some_and(|last| last == FLOODSUB);
        if floodsub {
            protocols.pop();
        }
        match protocols.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            names if names == PROTOCOLS => {}
            // The library would take them for another version than they are.
            [FLOODSUB] | ["/meshsub/1.3.0"] | ["/meshsub/1.2.0"] => return Ok(false),
            [name] => {
                let version = if name.ends_with("/1.0.0") { Version::V1_0 } else { Version::V1_1 };
                self.config.protocol_id(name.to_string(), version);
            }
            [newer, older] => match (newer.strip_suffix("/1.1.0"), older.strip_suffix("/1.0.0")) {
                (Some(prefix), Some(same)) if prefix == same => {
                    self.config.protocol_id_prefix(prefix.to_owned());
                }
                _ => return Ok(false),
            },
            _ => return Ok(false),
        }
        if floodsub {
            self.config.support_floodsub();
        }
        self.protocols = all;
        Ok(true)
    }

    /// The id under which the library's name for a peer's kind is spoken; null: none as yet.
    pub fn protocol_named(&self, kind: &str) -> Option<&str> {
        let end = match kind {
            "Gossipsubv1_3" => "/1.3.0",
            "Gossipsubv1_2" => "/1.2.0",
            "Gossipsubv1_1" => "/1.1.0",
            "Gossipsub" => "/1.0.0",
            // Also what the library says of a peer whose protocol it does not know yet.
            "Floodsub" => FLOODSUB,
            _ => return None,
        };
        let names = || self.protocols.iter().map(String::as_str);
        match names().find(|name| name.ends_with(end) && (*name == FLOODSUB) == (end == FLOODSUB)) {
            None if end != FLOODSUB => names().next(), // the only one
            found => found,
        }
    }
}

/// A multiaddr that ends in a peer id, in its two parts.
pub fn parse_address(text: &str) -> Result<(PeerId, Multiaddr), String> {
    let mut address: Multiaddr = text.parse().map_err(|error| format!("{text:?}: {error}"))?;
    match address.pop() {
        Some(Protocol::P2p(peer)) => Ok((peer, address)),
        _ => Err(format!("{text:?}: must end in /p2p/ and a peer id")),
    }
}

fn decode<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

/// True or false, or a number that is not 0 or is.
fn decode_switch(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(on) => Ok(*on),
        _ => decode::<i64>(value).map(|number| number != 0),
    }
}

fn positive(value: &Value) -> Result<usize, String> {
    match decode(value)? {
        0 => Err("must be above 0".into()),
        number => Ok(number),
    }
}

fn decode_duration(value: &Value) -> Result<Duration, String> {
    duration(decode(value)?)
}

pub fn duration(milliseconds: f64) -> Result<Duration, String> {
    if milliseconds < 0.0 {
        return Err("must not be negative".into());
    }
    Duration::try_from_secs_f64(milliseconds / 1000.0).map_err(|error| error.to_string())
}
