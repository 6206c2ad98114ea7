//! Rustpeer is a GossipSub node on rust-libp2p that a driver steers by JSON lines on standard input.
//!
//! One line is one command, one line of output is one event or one answer; the full interface is
//! described in the conformance kit's documentation. Only TCP, Noise and yamux are spoken, only on
//! the address given: no relay, port mapping or discovery.
//!
//! What this library differs in, or does not tell:
//!
//! - A node does not deliver its own messages to itself.
//! - Publishing where nobody is known to be subscribed is an error, and the message is forgotten.
//!   A message that was published before is not sent again; that is no error here.
//! - The application judges messages only where the library was told so at the start. It is told so
//!   unless `validate` is false; then the command `validator` is unsupported.
//! - `--protocol floodsub` is unsupported. `protocols` can name all of the library's own protocols
//!   (the default), one other, or a pair PREFIX/1.1.0 and PREFIX/1.0.0, and after those
//!   /floodsub/1.0.0; anything else counts as an unsupported parameter. A single other protocol
//!   is spoken as v1.0 where it ends in /1.0.0, else as v1.1.
//! - Scores decay once a second or more seldom: a shorter `decayIntervalMs` counts as unsupported
//!   (`score.decayIntervalMs`), and one second is taken. The penalty for slow peers is off.
//! - Of scores it tells the sum alone; what an answer has of their parts is null or empty, except
//!   the application's own, which are known here.
//! - `rpc_in`, `rpc_out`, `throttled` and `undelivered` stay 0. What it refused before it asked the
//!   application is known by the library's reasons; with scoring it is "invalid message", whatever
//!   the reason, and not known where `metrics` is false.
//! - A node to which nothing happens has no heartbeats and no decay: the library does not ask to be
//!   woken for the next ones (0.50.1). Any command or event wakes it.
//! - `--sign author` checks signatures that are there, where go refuses them.
//! - Peer exchange names no addresses, and only peers whose addresses are known are dialled for it.

mod addresses;
mod commands;
mod copies;
mod flags;
mod histogram;
mod node;
mod output;
mod params;
mod publisher;
mod questions;
mod refusals;
mod score;
mod stats;
mod swarm;
mod usage;
mod validator;

use std::io::BufRead;
use std::time::Duration;

use tokio::sync::mpsc;

const EXIT_USAGE: i32 = 2;
const CLOSING_PATIENCE: Duration = Duration::from_secs(1);
/// Commands that may wait while the node has other work.
const WAITING_LINES: usize = 64;

/// Why the node could not start: the command line is wrong, or the machine does not let it.
pub enum Refusal {
    Usage(String),
    Machine(String),
}

#[tokio::main]
async fn main() {
    let flags = match flags::parse(std::env::args().skip(1)) {
        Ok(flags) => flags,
        Err(reason) => fail(EXIT_USAGE, &reason),
    };
    let (out, writer) = output::start();
    let mut node = match node::Node::start(flags, out).await {
        Ok(node) => node,
        Err(Refusal::Usage(reason)) => fail(EXIT_USAGE, &reason),
        Err(Refusal::Machine(reason)) => fail(1, &reason),
    };
    node.run(read_lines()).await;
    writer.close(CLOSING_PATIENCE);
    std::process::exit(0);
}

fn fail(status: i32, reason: &str) -> ! {
    eprintln!("rustpeer: {}", reason.trim().replace('\n', "; "));
    std::process::exit(status)
}

/// Standard input, line by line; it ends with the input.
fn read_lines() -> mpsc::Receiver<Vec<u8>> {
    let (lines, received) = mpsc::channel(WAITING_LINES);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match input.read_until(b'\n', &mut line) {
                Ok(read) if read > 0 => {}
                _ => return,
            }
            if line.len() > 1 && lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    received
}
