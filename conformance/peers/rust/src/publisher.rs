//! publish_many: a run of numbered messages, from a task of its own.

use std::future::pending;
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::commands::Answer;
use crate::stats::{STAMP_BYTES, unix_nanoseconds};

/// How long to wait when every peer's queue is full.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// One message to be published; the node says what became of it.
pub struct Order {
    pub topic: String,
    pub data: Vec<u8>,
    pub outcome: oneshot::Sender<Outcome>,
}

pub enum Outcome {
    Sent,
    /// All queues are full: it can be tried again.
    Full,
    Failed,
}

pub struct Run {
    pub topic: String,
    pub count: u64,
    pub size: usize,
    pub window: Option<u64>,
    pub rate: Option<f64>,
    pub first_sequence: u64,
    pub timeout: Option<Duration>,
}

/// How other commands reach a run.
pub struct Running {
    credit: watch::Sender<u64>,
    stop: watch::Sender<bool>,
}

struct Control {
    credit: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    deadline: Option<Instant>,
    start: Instant,
}

#[derive(Default)]
struct Totals {
    sent: u64,
    failed: u64,
    retries: u64,
    aborted: bool,
}

impl Running {
    pub fn is_over(&self) -> bool {
        self.stop.is_closed()
    }

    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    pub fn credit(&self, received: u64) {
        self.credit.send_if_modified(|credit| {
            let more = received > *credit;
            *credit = received.max(*credit);
            more
        });
    }
}

/// Starts a run and answers when it is over.
pub fn start(run: Run, orders: mpsc::Sender<Order>, answer: Answer) -> Running {
    let (credit, credits) = watch::channel(0);
    let (stop, stops) = watch::channel(false);
    let now = Instant::now();
    let control = Control {
        credit: credits,
        stop: stops,
        start: now,
        deadline: run.timeout.and_then(|timeout| now.checked_add(timeout)),
    };
    tokio::spawn(async move {
        let totals = publish(&run, control, orders).await;
        answer.ok(totals).await;
    });
    Running { credit, stop }
}

async fn publish(run: &Run, mut control: Control, orders: mpsc::Sender<Order>) -> Value {
    let mut random = SmallRng::from_rng(&mut rand::rng());
    let mut totals = Totals::default();
    for number in 0..run.count {
        if !control.wait_for_turn(run, number, totals.sent).await {
            totals.aborted = true;
            break;
        }
        let sequence = run.first_sequence.wrapping_add(number);
        let outcome = loop {
            let (outcome, told) = oneshot::channel();
            let data = payload(sequence, run.size, &mut random);
            let order = Order { topic: run.topic.clone(), data, outcome };
            if orders.send(order).await.is_err() {
                break Outcome::Failed; // the node ends
            }
            match told.await.unwrap_or(Outcome::Failed) {
                Outcome::Full if !control.is_over() => {
                    totals.retries += 1;
                    sleep(RETRY_PAUSE).await;
                }
                outcome => break outcome,
            }
        };
        match outcome {
            Outcome::Sent => totals.sent += 1,
            _ => totals.failed += 1,
        }
    }
    json!({
        "sent": totals.sent,
        "failed": totals.failed,
        "retries": totals.retries,
        "aborted": totals.aborted,
        "elapsed_ns": control.start.elapsed().as_nanos() as u64,
    })
}

fn payload(sequence: u64, size: usize, random: &mut SmallRng) -> Vec<u8> {
    let mut data = vec![0; size];
    random.fill_bytes(&mut data[STAMP_BYTES..]);
    data[..8].copy_from_slice(&sequence.to_be_bytes());
    data[8..STAMP_BYTES].copy_from_slice(&unix_nanoseconds().to_be_bytes());
    data
}

impl Control {
    fn is_over(&self) -> bool {
        *self.stop.borrow() || self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Reports false when the run is over before its next message is due.
    async fn wait_for_turn(&mut self, run: &Run, number: u64, sent: u64) -> bool {
        if self.is_over() {
            return false;
        }
        let start = self.start;
        let deadline = self.deadline;
        let credit = &mut self.credit;
        let turn = async {
            if let Some(rate) = run.rate {
                let due =
                    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
                match start.checked_add(due) {
                    Some(due) => sleep_until(due).await,
                    None => pending().await,
                }
            }
            if let Some(window) = run.window {
                let open = |credit: &u64| sent.saturating_sub(*credit) < window;
                let _ = credit.wait_for(open).await;
            }
        };
        let end = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = turn => true,
            _ = self.stop.wait_for(|stop| *stop) => false,
            () = end => false,
        }
    }
}
