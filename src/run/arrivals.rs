//! Open-loop load: requests come at the rate, whatever became of those before.
//!
//! The gaps between them are exponential, from a stream of the seed, as those between the requests of many
//! users who know nothing of each other. Each request is for one node, in turn; a client of that node that is
//! free sends it, and where none is, the request is shed: so many are in flight at most as there are clients,
//! and one node that hangs takes no clients from the others. Latency counts from the moment at which a request
//! was meant to be sent, so that a store which stands still is not measured by the few requests that it let
//! through (Tene, How NOT to Measure Latency, 2013). The history has the moment at which it was sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_reports::Arrivals;
use partita_workloads::random::stream;
use rand::RngExt;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// Parts of each power of two that latencies are counted by.
const PARTS: u64 = 16;
/// Powers of two, in nanoseconds: more than an hour.
const POWERS: usize = 44;

/// When the next requests come.
struct Gaps {
    random: rand::rngs::ChaCha8Rng,
    mean: f64,
}

impl Gaps {
    fn of(seed: u64, rate: f64) -> Self {
        Self { random: stream(seed, "arrivals"), mean: 1.0 / rate }
    }

    fn draw(&mut self) -> Duration {
        let share: f64 = self.random.random_range(f64::MIN_POSITIVE..1.0);
        Duration::try_from_secs_f64(-share.ln() * self.mean).unwrap_or(Duration::MAX)
    }
}

/// Latencies, counted.
#[derive(Debug)]
struct Latencies {
    counts: Vec<u64>,
    longest_ns: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; POWERS * PARTS as usize], longest_ns: 0 }
    }
}

impl Latencies {
    fn note(&mut self, latency: Duration) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.longest_ns = self.longest_ns.max(ns);
        let place = Self::place(ns).min(self.counts.len() - 1);
        self.counts[place] += 1;
    }

    fn place(ns: u64) -> usize {
        let power = (ns / PARTS).checked_ilog2().map_or(0, |power| power + 1);
        // Within a power each part is as long as `1 << (power - 1)` nanoseconds.
        let part = (ns >> power.saturating_sub(1)) % PARTS;
        power as usize * PARTS as usize + part as usize
    }

    /// The most that is counted in that place.
    fn end_ns(place: usize) -> u64 {
        let (power, part) = ((place as u64) / PARTS, (place as u64) % PARTS);
        if power == 0 { part } else { ((PARTS + part + 1) << (power - 1)) - 1 }
    }

    /// What so many of 100 stay within.
    fn quantile_ns(&self, percent: u64) -> u64 {
        let all: u64 = self.counts.iter().sum();
        let mut left = (all * percent).div_ceil(100);
        for (place, count) in self.counts.iter().enumerate() {
            match left.checked_sub(*count) {
                Some(0) | None if *count > 0 => return Self::end_ns(place).min(self.longest_ns),
                rest => left = rest.unwrap_or(left),
            }
        }
        0
    }
}

/// What came, and how long it took.
#[derive(Debug, Default)]
struct Counts {
    came: u64,
    shed: u64,
    latencies: Latencies,
}

/// Requests that come, and the clients that are free for them.
pub struct OpenLoop {
    /// By node: the clients that are free, the last one to become so at the end.
    free: Vec<Mutex<Vec<mpsc::Sender<Instant>>>>,
    counts: Mutex<Counts>,
}

impl OpenLoop {
    /// With clients of so many nodes, none of them free yet.
    pub fn new(nodes: usize) -> Arc<Self> {
        let free = (0..nodes).map(|_| Mutex::default()).collect();
        Arc::new(Self { free, counts: Mutex::default() })
    }

    /// That a client of that node can take a request, by this channel of one place.
    pub fn is_free(&self, node: usize, client: mpsc::Sender<Instant>) {
        lock(&self.free[node]).push(client);
    }

    /// That a request is over that was to be sent then.
    pub fn answered(&self, intended: Instant) {
        lock(&self.counts).latencies.note(intended.elapsed());
    }

    /// Lets requests come, until `stop` says so.
    pub async fn run(self: Arc<Self>, seed: u64, rate: f64, mut stop: watch::Receiver<bool>) {
        let mut gaps = Gaps::of(seed, rate);
        let mut intended = Instant::now();
        for node in (0..self.free.len()).cycle() {
            let Some(next) = intended.checked_add(gaps.draw()) else { return };
            intended = next;
            if intended > Instant::now() {
                tokio::select! {
                    () = sleep_until(intended) => {}
                    _ = stop.changed() => return,
                }
            }
            if *stop.borrow() {
                return;
            }
            self.comes(node, intended);
        }
    }

    fn comes(&self, node: usize, intended: Instant) {
        let client = lock(&self.free[node]).pop();
        // A client that has ended takes nothing any more.
        let is_taken = client.is_some_and(|client| client.try_send(intended).is_ok());
        let mut counts = lock(&self.counts);
        counts.came += 1;
        counts.shed += u64::from(!is_taken);
    }

    /// What came, and how long it took.
    pub fn arrivals(&self) -> Arrivals {
        let counts = lock(&self.counts);
        let Counts { came, shed, latencies } = &*counts;
        Arrivals {
            came: *came,
            shed: *shed,
            median_ns: latencies.quantile_ns(50),
            p99_ns: latencies.quantile_ns(99),
            longest_ns: latencies.longest_ns,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_a_seeds_and_come_to_the_rate() {
        let draw = |seed| {
            let mut gaps = Gaps::of(seed, 200.0);
            (0..20_000).map(|_| gaps.draw()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7)[..9], draw(8)[..9]);
        let all: Duration = draw(7).iter().sum();
        assert!((95.0..105.0).contains(&all.as_secs_f64()), "{all:?} for 20,000 at 200/s");
    }

    #[test]
    fn quantiles_are_at_most_a_sixteenth_too_long_and_never_too_short() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile_ns(99), 0);
        for us in 1..=1_000 {
            latencies.note(Duration::from_micros(us));
        }
        for (percent, exact) in [(50, 500_000), (99, 990_000)] {
            let measured = latencies.quantile_ns(percent);
            assert!((exact..=exact + exact / 15).contains(&measured), "{percent}: {measured}");
        }
        assert_eq!(latencies.longest_ns, 1_000_000);
        for ns in [0, 1, 15, 16, 17, 31, 32, 33, 1_000, 123_456_789] {
            let end = Latencies::end_ns(Latencies::place(ns));
            assert!(end >= ns && end <= ns + ns / 15, "{ns}: {end}");
        }
        latencies.note(Duration::MAX);
        assert_eq!(latencies.quantile_ns(100), Latencies::end_ns(latencies.counts.len() - 1));
    }

    #[tokio::test]
    async fn what_no_client_is_free_for_is_shed_and_one_node_takes_nothing_from_another() {
        let open = OpenLoop::new(2);
        let (quick, mut asked) = mpsc::channel(1);
        let (stuck, mut never) = mpsc::channel(1);
        open.is_free(0, quick.clone());
        open.is_free(1, stuck);
        let intended = Instant::now();
        for _ in 0..10 {
            open.comes(0, intended);
            assert_eq!(asked.recv().await, Some(intended));
            open.answered(intended);
            open.is_free(0, quick.clone());
            open.comes(1, intended);
        }
        // The stuck client has one request, which is never over.
        assert!(never.try_recv().is_ok() && never.try_recv().is_err());
        let arrivals = open.arrivals();
        assert_eq!((arrivals.came, arrivals.shed), (20, 9));
        assert!(arrivals.longest_ns >= arrivals.p99_ns && arrivals.p99_ns > 0);
    }

    #[tokio::test]
    async fn requests_come_until_they_are_told_to_stop() {
        let open = OpenLoop::new(1);
        let (stop, stopped) = watch::channel(false);
        let coming = tokio::spawn(Arc::clone(&open).run(3, 1e5, stopped));
        while open.arrivals().came < 100 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.send(true).expect("it listens");
        coming.await.expect("no panic");
        let arrivals = open.arrivals();
        assert_eq!(arrivals.came, arrivals.shed, "there are no clients");
    }
}
