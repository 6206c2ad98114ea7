//! Durations in microseconds, with a bounded relative error and constant size.

use serde_json::{Value, json};

/// Each power of two is cut into this many steps, so that a percentile is off by at most 1/64.
const STEPS: usize = 64;

pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
    max: u64,
}

impl Histogram {
    pub fn new() -> Self {
        Histogram { counts: vec![0; 64 * STEPS], total: 0, max: 0 }
    }

    pub fn add(&mut self, microseconds: u64) {
        self.counts[bucket_of(microseconds)] += 1;
        self.total += 1;
        self.max = self.max.max(microseconds);
    }

    fn percentile(&self, share: f64) -> u64 {
        let rank = (share * self.total as f64).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return highest(bucket).min(self.max);
            }
        }
        self.max
    }

    pub fn summary(&self) -> Value {
        json!({
            "count": self.total,
            "p50": self.percentile(0.50),
            "p90": self.percentile(0.90),
            "p99": self.percentile(0.99),
            "max": self.max,
        })
    }
}

/// Exact below `STEPS`; keeps the seven leading bits above.
fn bucket_of(microseconds: u64) -> usize {
    let shift = (64 - microseconds.leading_zeros()).saturating_sub(7) as usize;
    shift * STEPS + (microseconds >> shift) as usize
}

/// The highest value of a bucket.
fn highest(bucket: usize) -> u64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    (((bucket - shift * STEPS + 1) as u64) << shift) - 1
}
