//! How messages are judged: of a topic's rules, the newest whose prefix matches decides.

use std::collections::HashMap;
use std::time::Duration;

use libp2p_gossipsub::{MessageAcceptance, TopicHash};

struct Rule {
    prefix: Vec<u8>,
    verdict: MessageAcceptance,
    delay: Duration,
}

#[derive(Default)]
pub struct Rules(HashMap<TopicHash, Vec<Rule>>);

impl Rules {
    /// `clear` without a prefix takes all rules of the topic away, with one only that prefix's.
    pub fn set(
        &mut self,
        topic: TopicHash,
        verdict: &str,
        prefix: Vec<u8>,
        delay: Duration,
    ) -> Result<(), String> {
        let verdict = match verdict {
            "accept" => MessageAcceptance::Accept,
            "reject" => MessageAcceptance::Reject,
            "ignore" => MessageAcceptance::Ignore,
            "clear" => {
                if prefix.is_empty() {
                    self.0.remove(&topic);
                } else if let Some(rules) = self.0.get_mut(&topic) {
                    rules.retain(|rule| rule.prefix != prefix);
                }
                return Ok(());
            }
            other => {
                return Err(format!("verdict {other:?}: must be accept, reject, ignore or clear"));
            }
        };
        let rules = self.0.entry(topic).or_default();
        // An older one with the same prefix could never decide again.
        rules.retain(|rule| rule.prefix != prefix);
        rules.push(Rule { prefix, verdict, delay });
        Ok(())
    }

    pub fn judge(&self, topic: &TopicHash, data: &[u8]) -> (MessageAcceptance, Duration) {
        let rules = self.0.get(topic).map(Vec::as_slice).unwrap_or_default();
        let chosen = rules.iter().rev().find(|rule| data.starts_with(&rule.prefix));
        chosen
            .map_or((MessageAcceptance::Accept, Duration::ZERO), |rule| (rule.verdict, rule.delay))
    }
}
