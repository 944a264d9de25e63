//! Which run is next: that of the configuration which has had the least CPU time for its weight.
//!
//! Weighted fair queueing with virtual time, as process schedulers do it: what a run costs is divided by
//! its configuration's weight, and the least so far is next. A run under way counts as what the
//! configuration's runs cost on average. The choice decides no run, only their order.

use std::collections::BTreeSet;

use super::plan::{CampaignPlan, Shard};

/// What a run is taken to cost of which none is known yet, in milliseconds of CPU time.
const EXPECTED_MS: f64 = 10_000.0;

/// What has been done of a campaign, and what is next.
#[derive(Debug)]
pub struct Share<'a> {
    plan: &'a CampaignPlan,
    shard: Shard,
    /// By configuration.
    accounts: Vec<CpuAccount>,
    /// Indices that are done or under way.
    taken: BTreeSet<u64>,
}

#[derive(Debug, Default, Clone)]
struct CpuAccount {
    cpu_ms: f64,
    runs: u64,
    under_way: u64,
    /// The first round that may have an index that is free.
    round: u64,
}

impl CpuAccount {
    /// What one of its runs costs, by those that are over, or else by those of all.
    fn cost(&self, of_all: f64) -> f64 {
        if self.runs == 0 { of_all } else { (self.cpu_ms / self.runs as f64).max(1.0) }
    }
}

impl<'a> Share<'a> {
    /// Of a plan of which nothing is done.
    pub fn new(plan: &'a CampaignPlan, shard: Shard) -> Self {
        let accounts = vec![CpuAccount::default(); plan.configurations.len()];
        Self { plan, shard, accounts, taken: BTreeSet::new() }
    }

    /// That the run of an index is over and cost so much CPU time. It need not have been under way: it may
    /// be one of an earlier process.
    pub fn done(&mut self, index: u64, cpu_ms: u64) {
        let account = &mut self.accounts[self.plan.place(index)];
        if !self.taken.insert(index) {
            account.under_way = account.under_way.saturating_sub(1);
        }
        account.cpu_ms += cpu_ms as f64;
        account.runs += 1;
    }

    /// That the run of an index is to be done another time.
    pub fn given_back(&mut self, index: u64) {
        if self.taken.remove(&index) {
            let account = &mut self.accounts[self.plan.place(index)];
            account.under_way = account.under_way.saturating_sub(1);
            account.round = account.round.min(index / self.plan.width());
        }
    }

    /// The index of the next run, which is under way from now on; nothing if all are done or under way.
    pub fn take(&mut self) -> Option<u64> {
        let (cpu_ms, runs) =
            self.accounts.iter().fold((0.0, 0), |sum, it| (sum.0 + it.cpu_ms, sum.1 + it.runs));
        let of_all = if runs == 0 { EXPECTED_MS } else { (cpu_ms / runs as f64).max(1.0) };
        let virtual_time = |place: &usize| {
            let account = &self.accounts[*place];
            let spent = account.cpu_ms + account.under_way as f64 * account.cost(of_all);
            spent / self.plan.configurations[*place].weight
        };
        let mut order: Vec<usize> = (0..self.accounts.len()).collect();
        order.sort_by(|a, b| virtual_time(a).total_cmp(&virtual_time(b)));
        let index = order.into_iter().find_map(|place| self.free(place))?;
        self.taken.insert(index);
        self.accounts[self.plan.place(index)].under_way += 1;
        Some(index)
    }

    /// The first index of a configuration that is free and this shard's.
    fn free(&mut self, place: usize) -> Option<u64> {
        // The shard's rounds of a configuration repeat after as many as these.
        let period = self.plan.width() * self.shard.of;
        let mut round = self.accounts[place].round;
        let mut missed = 0;
        while missed <= period {
            let index = self.plan.index(place, round);
            if self.plan.runs.is_some_and(|runs| index >= runs) {
                return None;
            }
            if self.shard.owns(index) {
                if !self.taken.contains(&index) {
                    self.accounts[place].round = round;
                    return Some(index);
                }
                missed = 0;
            } else {
                missed += 1;
            }
            round += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::tests::plan;
    use super::*;

    #[test]
    fn cpu_time_is_shared_by_weight_whatever_a_run_costs() {
        let mut plan = plan(3);
        plan.configurations[2].weight = 2.0;
        let cost = [10_000, 30_000, 10_000];
        let mut share = Share::new(&plan, Shard::WHOLE);
        let mut spent = [0_u64; 3];
        for _ in 0..700 {
            let index = share.take().expect("endless");
            let place = plan.place(index);
            spent[place] += cost[place];
            share.done(index, cost[place]);
        }
        let all: u64 = spent.iter().sum();
        let parts = spent.map(|part| (part as f64 / all as f64 * 100.0).round());
        assert_eq!(parts, [25.0, 25.0, 50.0], "{spent:?}");
    }

    #[test]
    fn runs_that_are_under_way_at_once_are_of_different_configurations() {
        let plan = plan(4);
        let mut share = Share::new(&plan, Shard::WHOLE);
        let mut places: Vec<usize> =
            (0..4).map(|_| plan.place(share.take().expect("endless"))).collect();
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2, 3]);
    }

    #[test]
    fn a_number_of_runs_is_the_same_set_of_indices_however_it_is_shared() {
        for of in 1..=5 {
            let mut plan = plan(3);
            plan.configurations[0].weight = 9.0;
            plan.runs = Some(31);
            let mut all: Vec<u64> = Vec::new();
            for index in 0..of {
                let mut share = Share::new(&plan, Shard { index, of });
                while let Some(index) = share.take() {
                    share.done(index, 100 * (index % 7));
                    all.push(index);
                }
            }
            all.sort_unstable();
            assert_eq!(all, (0..31).collect::<Vec<_>>(), "{of} shards");
        }
    }

    #[test]
    fn what_is_done_is_not_done_again_and_what_is_given_back_is() {
        let mut plan = plan(2);
        plan.runs = Some(6);
        let mut share = Share::new(&plan, Shard::WHOLE);
        share.done(0, 5);
        share.done(3, 5);
        let mut left: Vec<u64> = std::iter::from_fn(|| share.take()).collect();
        left.sort_unstable();
        assert_eq!(left, [1, 2, 4, 5]);
        share.given_back(2);
        assert_eq!(share.take(), Some(2));
        assert_eq!(share.take(), None);
    }
}
