//! Counts the messages that the library refuses before it asks the application, by its reasons.
//!
//! Without peer scoring it tells nobody but the log; with scoring it counts them in its metrics
//! instead.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

const SOURCE: &str = "libp2p_gossipsub::behaviour";
const LOGGED: &str = "Invalid message from peer. Reason: ";

#[derive(Clone, Default)]
pub struct Refusals(Arc<Mutex<BTreeMap<String, u64>>>);

impl Refusals {
    /// Counts in the whole process; once.
    pub fn start() -> Self {
        let refusals = Refusals::default();
        tracing::subscriber::set_global_default(refusals.clone()).expect("there is no other");
        refusals
    }

    pub fn counted(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap().clone()
    }

    pub fn forget(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Visit for &Refusals {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "message"
            && let Some(reason) = format!("{value:?}").strip_prefix(LOGGED)
        {
            *self.0.lock().unwrap().entry(reason.to_owned()).or_default() += 1;
        }
    }
}

impl Subscriber for Refusals {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event() && *metadata.level() == Level::WARN && metadata.target() == SOURCE
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::WARN)
    }

    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }

    // Spans are never enabled.
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
