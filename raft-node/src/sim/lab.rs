//! What scenarios say to a cluster: the verbs of the Raft labs' tests.
//!
//! Limits are the labs' too: a leader within 5 s of simulated time, agreement within 10 s.

use std::time::Duration;

use bytes::Bytes;

use super::failure::{Failure, Property};
use super::history::{Action, Kind};
use super::load::{conclude, key};
use super::moment::{Moment, ms, secs};
use super::server::{Asker, Crash, DiskSpeed, Outcome};
use super::world::World;
use crate::core::operation::{Command, Query, Write};
use crate::core::units::{Index, Term};
use crate::core::{Core, Input, Operation};

/// Within this time there must be a leader.
pub(super) const ELECTION_LIMIT: Duration = secs(5);
/// Within this time servers that can talk must agree.
pub(super) const AGREEMENT_LIMIT: Duration = secs(10);
/// How often a last read is tried through a server; one that is a member no more answers none.
const READ_ATTEMPTS: usize = 3;

pub(super) type Done<T = ()> = Result<T, Failure>;

impl World {
    pub(super) fn run(&mut self, duration: Duration) -> Done {
        self.run_to(self.now.plus(duration))
    }

    /// Runs until the condition holds, but not longer than this; says whether it does.
    pub(super) fn run_until(
        &mut self,
        limit: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> Done<bool> {
        let end = self.now.plus(limit);
        loop {
            if condition(self) {
                return Ok(true);
            }
            if !self.step_before(end)? {
                self.now = end;
                return Ok(condition(self));
            }
        }
    }

    /// Fails the run unless the condition holds.
    pub(super) fn expect(
        &mut self,
        property: Property,
        holds: bool,
        what: impl FnOnce() -> String,
    ) -> Done {
        if holds { Ok(()) } else { Err(self.fail(property, what())) }
    }

    pub(super) fn size(&self) -> usize {
        self.servers.len()
    }

    pub(super) fn leads(&self, at: usize) -> bool {
        self.servers[at].core.as_ref().is_some_and(Core::leads)
    }

    /// The leader with the greatest term among the servers that run and are not cut off.
    pub(super) fn leader(&self) -> Option<usize> {
        let running = (0..self.size()).filter(|at| self.servers[*at].runs() && self.connected[*at]);
        let leaders = running.filter(|at| self.leads(*at)).map(|at| (self.banner(at).term, at));
        leaders.max().map(|(_, at)| at)
    }

    /// Waits for a leader; the labs' `checkOneLeader`.
    pub(super) fn one_leader(&mut self) -> Done<usize> {
        let end = self.now.plus(ELECTION_LIMIT);
        let found = self.run_until(ELECTION_LIMIT, |world| world.leader().is_some())?;
        // Another may be about to be elected: let it settle as the labs do.
        self.run(ms(450))?;
        let left = end.since(self.now);
        if !found || !self.run_until(left, |world| world.leader().is_some())? {
            return Err(self.fail(Property::Liveness, "no leader within 5 s".to_owned()));
        }
        Ok(self.leader().expect("just seen"))
    }

    /// Waits for a leader, other than `not`, that has committed an entry of its own term.
    pub(super) fn elect(&mut self, not: Option<usize>) -> Done<usize> {
        let ready = |world: &Self| {
            let leader = world.leader().filter(|leader| Some(*leader) != not)?;
            let banner = world.status(leader)?.banner;
            let committed = world.invariants.term_at(leader, banner.commit);
            (committed == Some(banner.term)).then_some(leader)
        };
        if !self.run_until(ELECTION_LIMIT, |world| ready(world).is_some())? {
            return Err(self.fail(Property::Liveness, "no leader within 5 s".to_owned()));
        }
        Ok(ready(self).expect("just seen"))
    }

    /// The greatest term of the servers that are up.
    pub(super) fn term(&self) -> Term {
        let terms = (0..self.size()).filter_map(|at| Some(self.status(at)?.banner.term));
        terms.max().unwrap_or_default()
    }

    // ---- faults ----

    /// Cuts a server off from all others.
    pub(super) fn disconnect(&mut self, at: usize) {
        self.trace.line(self.now, format_args!("server {} is cut off", at + 1));
        self.connected[at] = false;
        self.relink();
    }

    /// Joins a server with all others that are not cut off themselves.
    pub(super) fn connect(&mut self, at: usize) {
        self.trace.line(self.now, format_args!("server {} is joined again", at + 1));
        self.connected[at] = true;
        self.relink();
    }

    /// Joins the servers of each side with each other, and cuts the sides from one another.
    pub(super) fn divide(&mut self, sides: &[bool]) {
        self.trace.line(self.now, format_args!("the cluster is divided: {sides:?}"));
        self.connected.fill(true);
        for from in 0..self.size() {
            for to in 0..self.size() {
                if sides[from] == sides[to] {
                    self.network.unblock(from, to);
                } else {
                    self.network.block(from, to);
                }
            }
        }
    }

    /// Lets a server's monotonic clock run at another rate.
    pub(super) fn drift(&mut self, at: usize, rate_ppm: u64) {
        self.trace.line(self.now, format_args!("clock of server {} at {rate_ppm} ppm", at + 1));
        self.servers[at].clock.set_rate(self.now, rate_ppm);
        // Its timer now stands for another moment.
        self.servers[at].timer = None;
        self.set_timer(at);
    }

    fn relink(&mut self) {
        for from in 0..self.size() {
            for to in 0..self.size() {
                if self.connected[from] && self.connected[to] {
                    self.network.unblock(from, to);
                } else {
                    self.network.block(from, to);
                }
            }
        }
    }

    /// Ends every partition and every hold.
    pub(super) fn heal(&mut self) {
        self.trace.line(self.now, format_args!("the network is healed"));
        self.connected.fill(true);
        let held = self.network.heal();
        self.arrive(held);
    }

    /// Stops a server without taking it down, as SIGSTOP does.
    pub(super) fn pause(&mut self, at: usize) {
        self.trace.line(self.now, format_args!("server {} is paused", at + 1));
        self.servers[at].paused = self.servers[at].is_up();
    }

    /// Lets a paused server go on, with all that arrived meanwhile.
    pub(super) fn resume(&mut self, at: usize) -> Done {
        self.trace.line(self.now, format_args!("server {} goes on", at + 1));
        self.servers[at].paused = false;
        self.turn(at)
    }

    pub(super) fn crash_and_restart(&mut self, at: usize) -> Done {
        self.crash(at, Crash::Process);
        self.restart(at)
    }

    // ---- clients of the scenario ----

    /// Asks a server something, past the simulated clients and without a record.
    pub(super) fn submit(&mut self, to: usize, operation: Operation) -> Done<u64> {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        if self.servers[to].is_up() {
            self.servers[to].ask(Asker::Scenario { ticket }, operation);
            self.turn(to)?;
        }
        Ok(ticket)
    }

    /// Asks a server and waits for what it says; `None` if it says nothing for so long.
    pub(super) fn call(
        &mut self,
        to: usize,
        operation: Operation,
        limit: Duration,
    ) -> Done<Option<Outcome>> {
        let ticket = self.submit(to, operation)?;
        self.run_until(limit, |world| world.answers.contains_key(&ticket))?;
        Ok(self.answers.remove(&ticket))
    }

    /// Asks a server as a client would, on the record.
    pub(super) fn ask(&mut self, to: usize, number: u32, action: Action) -> Done<Kind> {
        let process = self.spare_process();
        let command = super::load::command(number, &action);
        let operation = match command {
            None => Operation::Read(Query::Value(key(number))),
            Some(command) => Operation::from(Write::Plain(command)),
        };
        let server = to as u32;
        self.record(process, server, Kind::Invoke, (number, action.clone()), None);
        let outcome = self.call(to, operation, secs(6))?;
        let (kind, asked, saw) = conclude((number, action), outcome, false);
        self.record(process, server, kind, asked, saw);
        Ok(kind)
    }

    pub(super) fn ask_read(&mut self, to: usize, key: u32) -> Done<Kind> {
        self.ask(to, key, Action::Read(None))
    }

    /// Reads every key through every server that runs, on the record. A read that is refused, as
    /// when the leader just leaves or hands over, says nothing of the key: another one follows.
    pub(super) fn read_everywhere(&mut self, keys: u32) -> Done {
        for number in 0..keys {
            for at in 0..self.size() {
                for _ in 0..READ_ATTEMPTS {
                    if !self.servers[at].runs() || self.ask_read(at, number)? == Kind::Ok {
                        break;
                    }
                    self.run(ms(300))?;
                }
            }
        }
        Ok(())
    }

    // ---- the log, as the labs see it ----

    /// Gives a command to a server that leads; returns where in its log it went. The labs' `Start`.
    pub(super) fn start(&mut self, at: usize, value: u64) -> Done<Option<(Index, Term)>> {
        self.start_sized(at, value, 0)
    }

    /// The same with so many bytes to carry.
    pub(super) fn start_sized(
        &mut self,
        at: usize,
        value: u64,
        bytes: usize,
    ) -> Done<Option<(Index, Term)>> {
        if !self.servers[at].runs() || !self.leads(at) {
            return Ok(None);
        }
        let mut text = value.to_string();
        text.extend(std::iter::repeat_n('x', bytes));
        let command = Command::set(Bytes::from_static(b"lab"), text.into());
        let before = self.invariants.last(at);
        self.submit(at, Operation::from(Write::Plain(command)))?;
        let index = self.invariants.last(at);
        let term = self.invariants.term_at(at, index);
        Ok(term.filter(|_| index > before).map(|term| (index, term)))
    }

    /// On how many servers that are up an entry is committed. The labs' `nCommitted`.
    pub(super) fn committed_on(&self, index: Index, term: Term) -> usize {
        let holds = |at: &usize| {
            let commit = self.status(*at).map(|status| status.banner.commit);
            commit >= Some(index) && self.invariants.term_at(*at, index).is_none_or(|t| t == term)
        };
        (0..self.size()).filter(holds).count()
    }

    /// Gets a command agreed on by so many servers, trying other leaders for up to 10 s. The labs'
    /// `one`.
    pub(super) fn one(&mut self, value: u64, servers: usize) -> Done<Index> {
        self.one_sized(value, servers, 0)
    }

    pub(super) fn one_sized(&mut self, value: u64, servers: usize, bytes: usize) -> Done<Index> {
        let end = self.now.plus(AGREEMENT_LIMIT);
        while self.now < end {
            let leader = self.leader();
            let started = match leader {
                Some(leader) => self.start_sized(leader, value, bytes)?,
                None => None,
            };
            let Some((index, term)) = started else {
                self.run(ms(50))?;
                continue;
            };
            let agreed =
                self.run_until(secs(2), |world| world.committed_on(index, term) >= servers)?;
            if agreed {
                return Ok(index);
            }
        }
        Err(self.fail(Property::Liveness, format!("{value} is not agreed on within 10 s")))
    }

    /// How many messages servers sent so far.
    pub(super) fn messages(&self) -> u64 {
        self.sent.iter().map(|sent| sent.messages).sum()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sent.iter().map(|sent| sent.bytes).sum()
    }

    // ---- the end of a scenario ----

    /// Heals everything and starts all servers.
    pub(super) fn mend(&mut self) -> Done {
        self.heal();
        self.network.conditions = super::network::NetworkConditions::fair();
        self.load.plan_mut().loss = 0.0;
        self.load.plan_mut().duplication = 0.0;
        for at in 0..self.size() {
            self.servers[at].disk.repair();
            self.servers[at].speed = DiskSpeed::fair();
            self.restart(at)?;
            if self.servers[at].paused {
                self.resume(at)?;
            }
        }
        Ok(())
    }

    /// The healed cluster must make progress: a write agreed on, within 10 s, by all voters that
    /// run. Says nothing while damaged disks keep a majority from running.
    pub(super) fn progress(&mut self) -> Done {
        self.mend()?;
        let able = (0..self.size()).filter(|at| self.servers[*at].runs()).count();
        if able <= self.setup.members / 2
            || (able < self.size() && self.setup.members < self.size())
        {
            return Ok(());
        }
        let limit = self.now.plus(AGREEMENT_LIMIT);
        while self.now < limit {
            self.run_until(ELECTION_LIMIT, |world| world.leader().is_some())?;
            let Some(leader) = self.leader() else { continue };
            let voters = self.running_voters(leader);
            let Some((index, term)) = self.start(leader, u64::MAX)? else {
                // It may be handing over: time must pass before it is asked again.
                self.run(ms(50))?;
                continue;
            };
            let agreed =
                self.run_until(secs(2), |world| world.committed_on(index, term) >= voters)?;
            if agreed {
                return Ok(());
            }
        }
        Err(self.fail(Property::Liveness, "a healed cluster agrees on nothing in 10 s".to_owned()))
    }

    /// How many of the voters of a leader's configuration run.
    fn running_voters(&self, leader: usize) -> usize {
        let Some(core) = &self.servers[leader].core else { return 0 };
        let configuration = core.configuration();
        let voters = configuration.voters.iter();
        voters.filter(|id| self.servers[id.0 as usize - 1].runs()).count()
    }

    /// Lets clients finish, and reads every key through every server.
    pub(super) fn settle(&mut self, keys: u32) -> Done {
        self.mend()?;
        self.stop_load();
        self.progress()?;
        self.run_until(secs(30), Self::load_is_idle)?;
        self.read_everywhere(keys)?;
        self.check_mixed()
    }

    /// Makes the clock of a server skip to its election timeout.
    pub(super) fn stand(&mut self, at: usize) -> Done {
        if let Some(core) = &self.servers[at].core {
            let due = self.servers[at].clock.moment_of(core.next_due());
            let ahead = due.since(self.now);
            self.servers[at].clock.skip(self.now, ahead);
        }
        self.give(at, Input::Tick)
    }

    /// How long the run has lasted.
    pub(super) fn elapsed(&self) -> Duration {
        self.now.since(Moment::START)
    }
}
