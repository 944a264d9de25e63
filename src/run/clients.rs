//! Clients: each performs one operation after another on the node it is bound to.
//!
//! In a closed loop all clients together aim at a rate; each paces itself so that their requests are spread
//! evenly, with jitter from its own stream of the seed. A client that falls behind does not catch up in a
//! burst: under a fault the offered load sinks, as that of real closed-loop clients does. In an open loop
//! ([`OpenLoop`]) requests come by themselves, and a client waits for one.
//!
//! Clients that share a connection are processes of their own: each has one operation in flight, the connection
//! as many as there are clients at work. In a closed loop they ask at the same moments, so that it has.
//!
//! A client whose operation ends as `info` goes on under a new process number, as in Jepsen: the
//! old request may still be in flight.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use partita_checker::{EventKind, ProcessId};
use partita_nemesis::ReadOnlyPhase;
use partita_workloads::client::{Client, ClientOptions, Dial, Endpoint, Pipeline, Protocol};
use partita_workloads::random::stream_of_client;
use partita_workloads::{Completion, Generator, Invocation};
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{Instrument, debug, trace};

use super::arrivals::OpenLoop;
use super::poller::Poller;
use super::recorder::Recorder;
use crate::targets::{FinalReads, TalkTo};

/// What all clients share.
pub struct Load {
    /// The source of operations.
    pub generator: Mutex<Box<dyn Generator>>,
    /// When clients only read, from `began` on.
    pub read_only: Vec<ReadOnlyPhase>,
    /// When clients, and the schedule, began.
    pub began: Instant,
    /// Where events go.
    pub recorder: Arc<Recorder>,
    /// The nodes; client `i` is bound to node `i` modulo their number, unless it follows the leader.
    pub endpoints: Vec<Endpoint>,
    /// Which node clients talk to.
    pub talk_to: TalkTo,
    /// Which nodes the final operations go through.
    pub final_reads: FinalReads,
    /// Knows who leads.
    pub poller: Poller,
    /// What makes clients.
    pub protocol: Arc<dyn Protocol>,
    /// Connects from the clients' host.
    pub dial: Dial,
    /// How clients behave.
    pub options: ClientOptions,
    /// How many clients there are.
    pub clients: u32,
    /// How many process numbers are taken at first: for the closing operations every node has one as well.
    pub all_processes: u32,
    /// The rate of all clients together, in operations a second.
    pub rate: f64,
    /// The run's seed.
    pub seed: u64,
    /// Requests that come by themselves, if they do.
    pub open: Option<Arc<OpenLoop>>,
    /// How many clients share a connection.
    pub pipeline: u32,
    /// The connections that are shared, by node and number.
    pub shared: Mutex<Pipelines>,
}

/// Connections that are shared, by node and number.
type Pipelines = BTreeMap<(Arc<str>, u32), Box<dyn Pipeline>>;

impl Load {
    /// The next operation; none while clients pause.
    fn next_invocation(&self) -> Option<Invocation> {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let only_reads = self.read_only.iter().any(|phase| phase.is_on(at_ms));
        let mut generator = self.generator.lock().unwrap_or_else(PoisonError::into_inner);
        if only_reads { generator.next_read() } else { Some(generator.next_invocation()) }
    }

    /// The node that leads, as far as is known.
    pub fn leader(&self) -> Option<&Endpoint> {
        let leader = self.poller.leader()?;
        self.endpoints.iter().find(|endpoint| *endpoint.node == *leader)
    }

    /// The node that client `number` is bound to.
    const fn place(&self, number: u32) -> usize {
        number as usize % self.endpoints.len()
    }

    /// Which of its node's connections client `number` has: that of those which stand together.
    fn connection(&self, number: u32) -> u32 {
        let among_its_nodes = number / u32::try_from(self.endpoints.len()).unwrap_or(1).max(1);
        among_its_nodes / self.pipeline.max(1)
    }

    /// A client of that node for the client `number`.
    fn client(&self, endpoint: &Endpoint, number: u32) -> Box<dyn Client> {
        let alone = || self.protocol.client(endpoint, &self.dial, self.options);
        if self.pipeline <= 1 {
            return alone();
        }
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (Arc::clone(&endpoint.node), self.connection(number));
        if let Some(pipeline) = shared.get(&key) {
            return pipeline.client();
        }
        match self.protocol.pipeline(endpoint, &self.dial, self.options) {
            Some(pipeline) => shared.entry(key).or_insert(pipeline).client(),
            None => alone(),
        }
    }

    fn completed(&self, invocation: &Invocation, completion: &Completion) {
        self.generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .completed(invocation, completion);
    }
}

/// Hands out the process numbers of one client: its own, then that plus the number of all clients,
/// and so on, so that no two clients ever share one.
#[derive(Debug, Clone, Copy)]
pub struct Processes {
    current: u32,
    step: u32,
}

impl Processes {
    /// The numbers of client `client` of `all`, which counts those of closing operations too.
    pub const fn of(client: u32, all: u32) -> Self {
        Self { current: client, step: all }
    }

    /// The number in use.
    pub const fn current(self) -> ProcessId {
        ProcessId(self.current)
    }

    /// Retires the number in use.
    pub const fn retire(&mut self) {
        self.current += self.step;
    }
}

/// Performs one operation and records it, retiring the process number if it ended as `info`.
pub async fn perform(
    recorder: &Recorder,
    client: &mut dyn Client,
    endpoint: &Endpoint,
    processes: &mut Processes,
    invocation: &Invocation,
) -> Completion {
    let process = processes.current();
    recorder.record(|index, time| {
        let mut event = invocation.event(index, time, process);
        event.node = Some(Arc::clone(&endpoint.node));
        event
    });
    let completion = client.invoke(invocation).await;
    recorder.record(|index, time| {
        let mut event = completion.event(invocation, index, time, process);
        event.node = Some(Arc::clone(&endpoint.node));
        event
    });
    recorder.outcomes().count(&endpoint.node, invocation, &completion);
    log(process, invocation, &completion);
    distrust(recorder, client, endpoint);
    if completion.kind() == EventKind::Info {
        processes.retire();
    }
    completion
}

/// Puts into the log what became of an operation.
fn log(ProcessId(process): ProcessId, invocation: &Invocation, completion: &Completion) {
    let (kind, key) = (invocation.kind, &invocation.key);
    match completion {
        Completion::Unknown(why) => debug!(process, "{kind} of {key}: unknown, {why}"),
        Completion::Fail(why) => debug!(process, "{kind} of {key}: fail, {why}"),
        done => trace!(process, value = %invocation.value, ?done, "{kind} of {key}"),
    }
}

/// Counts what the node sent against the protocol.
fn distrust(recorder: &Recorder, client: &mut dyn Client, endpoint: &Endpoint) {
    for violation in client.protocol_violations() {
        recorder.outcomes().distrust(&endpoint.node, violation);
    }
}

/// Starts all clients. They run until `stop` says so, each finishing the operation it is at.
pub fn start(load: &Arc<Load>, stop: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for number in 0..load.clients {
        let node = &load.endpoints[load.place(number)].node;
        let span = tracing::error_span!("client", number, %node);
        let worker = Worker::new(load, number);
        match &load.open {
            None => clients.spawn(worker.in_a_closed_loop(stop.clone()).instrument(span)),
            Some(open) => {
                let open = Arc::clone(open);
                clients.spawn(worker.in_an_open_loop(open, stop.clone()).instrument(span))
            }
        };
    }
    if let Some(open) = &load.open {
        clients.spawn(Arc::clone(open).run(load.seed, load.rate, stop.clone()));
    }
    clients
}

/// How long a client rests that was refused: a node that is down refuses at once, and asking it again at full
/// rate tells nothing more.
const AFTER_REFUSAL: Duration = Duration::from_millis(50);

/// One client at work.
struct Worker {
    load: Arc<Load>,
    number: u32,
    endpoint: Endpoint,
    client: Box<dyn Client>,
    processes: Processes,
}

impl Worker {
    fn new(load: &Arc<Load>, number: u32) -> Self {
        let endpoint = load.endpoints[load.place(number)].clone();
        let client = load.client(&endpoint, number);
        let processes = Processes::of(number, load.all_processes);
        Self { load: Arc::clone(load), number, endpoint, client, processes }
    }

    async fn in_a_closed_loop(mut self, mut stop: watch::Receiver<bool>) {
        let mut pacing = Pacing::new(&self.load, self.number);
        while !*stop.borrow() && !self.load.recorder.is_broken() {
            tokio::select! {
                () = sleep_until(pacing.next_slot()) => {}
                _ = stop.changed() => break,
            }
            if let Some(Completion::Fail(_)) = self.perform_next().await {
                pacing.postpone(AFTER_REFUSAL);
            }
        }
        self.end();
    }

    async fn in_an_open_loop(mut self, open: Arc<OpenLoop>, mut stop: watch::Receiver<bool>) {
        let place = self.load.place(self.number);
        let (free, mut asked) = mpsc::channel(1);
        while !*stop.borrow() && !self.load.recorder.is_broken() {
            open.is_free(place, free.clone());
            let intended = tokio::select! {
                Some(intended) = asked.recv() => intended,
                _ = stop.changed() => break,
            };
            let completion = self.perform_next().await;
            if completion.is_some() {
                open.answered(intended);
            }
            if let Some(Completion::Fail(_)) = completion {
                tokio::select! {
                    () = sleep(AFTER_REFUSAL) => {}
                    _ = stop.changed() => break,
                }
            }
        }
        self.end();
    }

    /// Performs the next operation; none if clients pause.
    async fn perform_next(&mut self) -> Option<Completion> {
        let load = Arc::clone(&self.load);
        let invocation = load.next_invocation()?;
        if load.talk_to == TalkTo::Leader
            && let Some(leader) = load.leader().filter(|leader| **leader != self.endpoint)
        {
            self.end();
            self.endpoint = leader.clone();
            self.client = load.client(&self.endpoint, self.number);
            debug!(node = %self.endpoint.node, "follows the leader");
        }
        let Self { client, endpoint, processes, .. } = self;
        let completion =
            perform(&load.recorder, client.as_mut(), endpoint, processes, &invocation).await;
        load.completed(&invocation, &completion);
        Some(completion)
    }

    /// Counts what came after the last reply.
    fn end(&mut self) {
        distrust(&self.load.recorder, self.client.as_mut(), &self.endpoint);
    }
}

/// When a client may go on.
struct Pacing {
    random: ChaCha8Rng,
    interval: f64,
    next: Instant,
}

impl Pacing {
    fn new(load: &Load, number: u32) -> Self {
        // Those that share a connection have one stream.
        let together = load.place(number) as u32
            + load.connection(number) * u32::try_from(load.endpoints.len()).unwrap_or(1);
        let number = if load.pipeline > 1 { together } else { number };
        let mut random = stream_of_client(load.seed, "pace", number);
        let interval = f64::from(load.clients) / load.rate;
        let first = Duration::from_secs_f64(random.random_range(0.0..interval));
        Self { random, interval, next: Instant::now() + first }
    }

    fn next_slot(&mut self) -> Instant {
        let slot = self.next.max(Instant::now());
        let jittered = self.interval * self.random.random_range(0.5..1.5);
        self.next = slot + Duration::from_secs_f64(jittered);
        slot
    }

    fn postpone(&mut self, by: Duration) {
        self.next = self.next.max(Instant::now() + by);
    }
}
