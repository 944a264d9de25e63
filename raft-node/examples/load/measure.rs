//! Decides what each client asks for and when it counts, and sums up what came back.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;

use super::Operation;

/// Something that carries out one operation at a time.
pub(super) trait Client: Send + 'static {
    /// Sets a key.
    fn write(&mut self, key: &str, value: &Bytes) -> impl Future<Output = io::Result<()>> + Send;
    /// Gets a key, linearizably.
    fn read(&mut self, key: &str) -> impl Future<Output = io::Result<()>> + Send;
}

/// What all clients do.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    operation: Operation,
    keys: u64,
    value: Bytes,
    fill: bool,
    warm_up: Duration,
    counted: Duration,
    next: Arc<AtomicU64>,
    start: watch::Sender<Option<Instant>>,
}

/// What one client saw.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Microseconds.
    latencies: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

/// What all clients saw.
#[derive(Debug)]
pub(super) struct Report {
    plan: Plan,
    began: Instant,
    took: Duration,
    tally: Tally,
}

impl Plan {
    pub(super) fn new(
        operation: Operation,
        keys: u64,
        value_bytes: usize,
        fill: bool,
        warm_up: Duration,
        counted: Duration,
    ) -> Self {
        let value = Bytes::from(vec![b'v'; value_bytes]);
        let warm_up = if fill { Duration::ZERO } else { warm_up };
        let (next, start) = (Arc::default(), watch::Sender::new(None));
        Self { operation, keys, value, fill, warm_up, counted, next, start }
    }

    /// Lets the clients go.
    pub(super) fn begin(&self) {
        self.start.send_replace(Some(Instant::now()));
    }

    /// Runs one client to the end.
    pub(super) async fn drive(self, number: usize, mut client: impl Client) -> Tally {
        let mut start = self.start.subscribe();
        let began = start.wait_for(Option::is_some).await.ok().and_then(|at| *at);
        let began = began.unwrap_or_else(Instant::now);
        let from = began + self.warm_up;
        let until = from + self.counted;
        let mut tally = Tally::default();
        let mut state = number as u64 + 1;
        while let Some(key) = self.key(&mut state, until) {
            let sent = Instant::now();
            let outcome = match self.operation {
                Operation::Write => client.write(&key, &self.value).await,
                Operation::Read => client.read(&key).await,
            };
            match outcome {
                Ok(()) if sent >= from => {
                    let micros = sent.elapsed().as_micros();
                    tally.latencies.push(u32::try_from(micros).unwrap_or(u32::MAX));
                }
                Ok(()) => {}
                Err(error) => {
                    tally.errors += 1;
                    tally.first_error.get_or_insert_with(|| error.to_string());
                    if error.kind() != io::ErrorKind::Other {
                        break;
                    }
                }
            }
        }
        tally
    }

    /// The next key to ask for; none when it is over. Keys are 16 bytes.
    fn key(&self, state: &mut u64, until: Instant) -> Option<String> {
        let number = if self.fill {
            let next = self.next.fetch_add(1, Ordering::Relaxed);
            (next < self.keys).then_some(next)?
        } else {
            if Instant::now() >= until {
                return None;
            }
            // Splitmix64, seeded by the client's number: scattered, and the same in every run.
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = *state;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)) % self.keys
        };
        Some(format!("key{number:013}"))
    }
}

impl Report {
    pub(super) fn new(plan: &Plan) -> Self {
        let (took, tally) = (Duration::ZERO, Tally::default());
        Self { plan: plan.clone(), began: Instant::now(), took, tally }
    }

    pub(super) fn add(&mut self, tally: Tally) {
        self.tally.latencies.extend(tally.latencies);
        self.tally.errors += tally.errors;
        self.tally.first_error = self.tally.first_error.take().or(tally.first_error);
    }

    pub(super) fn finish(mut self) -> Self {
        self.tally.latencies.sort_unstable();
        let taken = self.began.elapsed();
        self.took = if self.plan.fill { taken } else { self.plan.counted };
        self
    }

    /// The latency, in milliseconds, that this share of the requests did not exceed.
    fn percentile(&self, share: f64) -> f64 {
        let count = self.tally.latencies.len();
        if count == 0 {
            return f64::NAN;
        }
        // A share of a count that fits memory: exact enough, and within the bounds.
        let rank = (share * count as f64).ceil() as usize;
        f64::from(self.tally.latencies[rank.clamp(1, count) - 1]) / 1000.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.tally.latencies.len() as f64 / self.took.as_secs_f64();
        let (p50, p99) = (self.percentile(0.5), self.percentile(0.99));
        let (p999, errors) = (self.percentile(0.999), self.tally.errors);
        write!(f, "per_second={per_second:.0} p50_ms={p50:.2} p99_ms={p99:.2} ")?;
        write!(f, "p999_ms={p999:.2} errors={errors}")?;
        match &self.tally.first_error {
            Some(error) => write!(f, " first_error={error:?}"),
            None => Ok(()),
        }
    }
}
