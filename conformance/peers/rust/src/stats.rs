//! Counters of what others sent; a driver can have them start anew.

use std::collections::{BTreeMap, HashMap};
use std::time::{SystemTime, UNIX_EPOCH};

use libp2p_identity::PeerId;
use serde_json::{Map, Value, json};

use crate::histogram::Histogram;
use crate::usage;

/// Sequence number and send time in front of each payload of publish_many.
pub const STAMP_BYTES: usize = 16;
// Payloads that only look as if they carried a send time do not count.
const PLAUSIBLE_AGE_NS: i64 = 3_600_000_000_000;
const PLAUSIBLE_SKEW_NS: i64 = 1_000_000_000;

pub struct Stats {
    /// Copies the application was asked about; the others were duplicates.
    pub shown: u64,
    pub rpc_dropped: u64,
    every: u64,
    received: u64,
    bytes: u64,
    first: i64,
    last: i64,
    backwards: u64,
    rejections: BTreeMap<String, u64>,
    newest: HashMap<Option<PeerId>, u64>,
    latency: Histogram,
    cpu_start: f64,
    /// The library's counters when ours began; they cannot be reset.
    start: Library,
}

/// What the library and its surroundings count.
#[derive(Clone, Copy, Default)]
pub struct Library {
    pub copies: u64,
    pub own: u64,
    /// What its metrics say was refused before the application was asked; own ones are among them.
    pub invalid: Option<u64>,
}

impl Stats {
    pub fn new(start: Library, every: u64) -> Self {
        let used = usage::read();
        Stats {
            shown: 0,
            rpc_dropped: 0,
            every,
            received: 0,
            bytes: 0,
            first: 0,
            last: 0,
            backwards: 0,
            rejections: BTreeMap::new(),
            newest: HashMap::new(),
            latency: Histogram::new(),
            cpu_start: used.user + used.system,
            start,
        }
    }

    /// Starts the counters anew; what `progress` asked for stays.
    pub fn reset(&mut self, now: Library) {
        *self = Stats::new(now, self.every);
    }

    pub fn report_every(&mut self, every: u64) {
        self.every = every;
    }

    pub fn rejected(&mut self, reason: &str) {
        *self.rejections.entry(reason.into()).or_default() += 1;
    }

    /// Counts a message; returns how many there are when a progress event is due.
    pub fn delivered(&mut self, author: Option<PeerId>, data: &[u8]) -> Option<u64> {
        let now = unix_nanoseconds();
        self.received += 1;
        self.bytes += data.len() as u64;
        if self.first == 0 {
            self.first = now;
        }
        self.last = now;
        if let Some((sequence, sent)) = stamp(data) {
            self.stamped(author, sequence, now.wrapping_sub(sent));
        }
        (self.every > 0 && self.received.is_multiple_of(self.every)).then_some(self.received)
    }

    fn stamped(&mut self, author: Option<PeerId>, sequence: u64, age: i64) {
        if !(-PLAUSIBLE_SKEW_NS..=PLAUSIBLE_AGE_NS).contains(&age) {
            return;
        }
        self.latency.add(age.max(0) as u64 / 1000);
        let newest = self.newest.entry(author).or_insert(sequence);
        if sequence < *newest {
            self.backwards += 1;
        } else {
            *newest = sequence;
        }
    }

    /// `refused`: what was refused before the application was asked, as far as it was logged.
    pub fn report(&self, now: Library, refused: BTreeMap<String, u64>) -> Map<String, Value> {
        let used = usage::read();
        let copies = now.copies - self.start.copies;
        let own = now.own - self.start.own;
        let mut rejections = self.rejections.clone();
        rejections.extend(refused);
        if own > 0 {
            rejections.insert("self originated message".into(), own);
        }
        if let (Some(before), Some(now)) = (self.start.invalid, now.invalid) {
            let invalid = (now - before).saturating_sub(own);
            if invalid > 0 {
                rejections.insert("invalid message".into(), invalid);
            }
        }
        let answer = json!({
            "received": self.received,
            "bytes": self.bytes,
            "first_ns": self.first,
            "last_ns": self.last,
            "backwards": self.backwards,
            "duplicates": copies.saturating_sub(self.shown),
            "rejected": rejections.values().sum::<u64>(),
            "rejections": rejections,
            "rpc_in": 0,
            "rpc_out": 0,
            "rpc_dropped": self.rpc_dropped,
            "undelivered": 0,
            "throttled": 0,
            "latency_us": self.latency.summary(),
            "cpu_user_s": used.user,
            "cpu_sys_s": used.system,
            "cpu_s": used.user + used.system,
            "cpu_since_reset_s": used.user + used.system - self.cpu_start,
            "rss_bytes": used.rss,
            "max_rss_bytes": used.max_rss,
        });
        match answer {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

fn stamp(data: &[u8]) -> Option<(u64, i64)> {
    let sequence = data.get(..8)?.try_into().ok()?;
    let sent = data.get(8..STAMP_BYTES)?.try_into().ok()?;
    Some((u64::from_be_bytes(sequence), i64::from_be_bytes(sent)))
}

pub fn unix_nanoseconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_nanos() as i64
}
