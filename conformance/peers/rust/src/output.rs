//! Events, one a line. A thread writes them and flushes as soon as nothing more waits.

use std::io::{self, BufWriter, Write};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

/// A driver that reads slowly holds up the node once this many lines wait.
const WAITING_LINES: usize = 4096;
const BUFFER_BYTES: usize = 1 << 16;

enum Item {
    Line(String),
    End,
}

#[derive(Clone)]
pub struct Output(mpsc::Sender<Item>);

/// Ends the writing, when all has been written.
pub struct Writer {
    items: mpsc::Sender<Item>,
    done: std::sync::mpsc::Receiver<()>,
}

pub fn start() -> (Output, Writer) {
    let (items, waiting) = mpsc::channel(WAITING_LINES);
    let (ended, done) = std::sync::mpsc::channel();
    thread::spawn(move || {
        // A driver that is gone reads nothing more: that is no failure of ours.
        let _ = write(waiting, BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()));
        let _ = ended.send(());
    });
    (Output(items.clone()), Writer { items, done })
}

fn write(mut waiting: mpsc::Receiver<Item>, mut file: impl Write) -> io::Result<()> {
    while let Some(Item::Line(line)) = waiting.blocking_recv() {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        if waiting.is_empty() {
            file.flush()?;
        }
    }
    file.flush()
}

impl Output {
    pub async fn send(&self, event: Value) {
        let _ = self.0.send(Item::Line(event.to_string())).await;
    }
}

impl Writer {
    /// Write what waits, for at most so long.
    pub fn close(self, patience: Duration) {
        if self.items.try_send(Item::End).is_ok() {
            let _ = self.done.recv_timeout(patience);
        }
    }
}
