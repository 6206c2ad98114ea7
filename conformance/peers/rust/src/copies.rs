//! Counts every copy of a message that comes in: the library shows the application only the first.
//!
//! It asks for a "transform" of each copy whose signature is good, before it looks whether it has
//! seen the message. That is where they are counted; they are left as they are.

use std::collections::HashSet;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use libp2p_gossipsub::{DataTransform, Message, RawMessage, TopicHash};
use libp2p_identity::PeerId;

#[derive(Clone)]
pub struct Copies(Arc<Counts>);

struct Counts {
    /// Whom the library takes for the author of what is published here.
    author: Option<PeerId>,
    topics: Mutex<HashSet<TopicHash>>,
    received: AtomicU64,
    own: AtomicU64,
}

impl Copies {
    pub fn new(author: Option<PeerId>) -> Self {
        Copies(Arc::new(Counts {
            author,
            topics: Mutex::default(),
            received: AtomicU64::new(0),
            own: AtomicU64::new(0),
        }))
    }

    /// Messages of other topics are not handed to the application, so they do not count.
    pub fn count_topic(&self, topic: TopicHash, on: bool) {
        let mut topics = self.0.topics.lock().unwrap();
        if on {
            topics.insert(topic)
        } else {
            topics.remove(&topic)
        };
    }

    pub fn counts_topic(&self, topic: &TopicHash) -> bool {
        self.0.topics.lock().unwrap().contains(topic)
    }

    /// Copies of others' messages.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Copies of our own messages that somebody sent back; the library refuses them.
    pub fn own(&self) -> u64 {
        self.0.own.load(Ordering::Relaxed)
    }
}

impl DataTransform for Copies {
    fn inbound_transform(&self, raw: RawMessage) -> io::Result<Message> {
        if raw.source.is_some() && raw.source == self.0.author {
            self.0.own.fetch_add(1, Ordering::Relaxed);
        } else if self.counts_topic(&raw.topic) {
            self.0.received.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Message {
            source: raw.source,
            data: raw.data,
            sequence_number: raw.sequence_number,
            topic: raw.topic,
        })
    }

    fn outbound_transform(&self, _: &TopicHash, data: Vec<u8>) -> io::Result<Vec<u8>> {
        Ok(data)
    }
}
