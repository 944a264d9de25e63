//! The list of runs.

use std::collections::BTreeSet;

use askama::Template;

use super::entry::{Entry, State};
use super::filter::{Filter, Wanted};
use super::links::{attribute, encoded};
use crate::text::number::{amount, count, counted};
use crate::text::visible::{TEXT_CHARACTERS, visible};

/// How many runs a page lists.
pub const ROWS_A_PAGE: usize = 200;

/// A folder of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Where it is, from the site's folder on, parts joined by `/`.
    pub path: String,
    /// Whether it has an `index.html`.
    pub has_page: bool,
}

/// The page of the runs that are wanted, of all `entries`, the newest first.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn list_page(entries: &[Entry], campaigns: &[Campaign], filter: &Filter) -> String {
    let found: Vec<&Entry> = entries.iter().filter(|entry| filter.has(entry)).collect();
    let pages = found.len().div_ceil(ROWS_A_PAGE).max(1);
    let page = filter.page.min(pages - 1);
    let shown = found.iter().skip(page * ROWS_A_PAGE).take(ROWS_A_PAGE);
    let link = |page: usize| format!("/?{}", filter.query(page));
    ListPage {
        choices: Choices::of(entries, filter),
        said: said(&found, entries.len()),
        rows: shown.map(|entry| ListRow::of(entry)).collect(),
        campaigns: campaigns.iter().map(CampaignRow::of).collect(),
        earlier: (page > 0).then(|| link(page - 1)),
        later: (page + 1 < pages).then(|| link(page + 1)),
        page: page + 1,
        pages,
        trends: format!("/trends?{}", filter.query(0)),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

/// `120 runs: 3 finding, 117 valid`.
fn said(found: &[&Entry], all: usize) -> String {
    let states = State::ALL.into_iter().filter_map(|state| {
        let number = found.iter().filter(|entry| entry.state == state).count();
        (number > 0).then(|| format!("{} {}", count(number as u64), state.name()))
    });
    let states = states.collect::<Vec<_>>().join(", ");
    let of = match found.len() == all {
        true => counted(all as u64, "run"),
        false => format!("{} of {}", count(found.len() as u64), counted(all as u64, "run")),
    };
    if states.is_empty() { of } else { format!("{of}: {states}") }
}

#[derive(Template)]
#[template(path = "site/list.html")]
struct ListPage {
    choices: Choices,
    said: String,
    rows: Vec<ListRow>,
    campaigns: Vec<CampaignRow>,
    earlier: Option<String>,
    later: Option<String>,
    page: usize,
    pages: usize,
    trends: String,
}

/// What the form offers and what is chosen.
pub(super) struct Choices {
    pub(super) targets: Vec<Choice>,
    pub(super) workloads: Vec<Choice>,
    pub(super) verdicts: Vec<Choice>,
    pub(super) text: String,
}

/// One of the names that can be chosen.
pub(super) struct Choice {
    pub(super) name: String,
    pub(super) is_chosen: bool,
}

impl Choices {
    pub(super) fn of(entries: &[Entry], filter: &Filter) -> Self {
        let names = |of: fn(&Entry) -> &str, chosen: &str| {
            let names: BTreeSet<&str> =
                entries.iter().map(of).filter(|it| !it.is_empty()).collect();
            let choice = |name: &str| Choice { name: name.to_owned(), is_chosen: name == chosen };
            names.into_iter().map(choice).collect()
        };
        let is_wanted = |state| filter.wanted == Wanted::Only(state);
        let verdicts = State::ALL.into_iter();
        Self {
            targets: names(|entry| &entry.target, &filter.target),
            workloads: names(|entry| &entry.workload, &filter.workload),
            verdicts: verdicts
                .map(|it| Choice { name: it.name().to_owned(), is_chosen: is_wanted(it) })
                .collect(),
            text: visible(&filter.text, TEXT_CHARACTERS),
        }
    }
}

/// One run of the list.
struct ListRow {
    /// Escaped for an attribute.
    path: String,
    name: String,
    link: String,
    class: &'static str,
    mark: &'static str,
    state: &'static str,
    title: String,
    started: String,
    target: String,
    workload: String,
    faults: String,
    operations: String,
    rate: String,
}

impl ListRow {
    fn of(entry: &Entry) -> Self {
        let encoded = encoded(&entry.path);
        let link = match entry.state {
            State::UnderWay => format!("/live/{encoded}"),
            _ => format!("/run/{encoded}"),
        };
        let mutation = match entry.mutation.as_str() {
            "" => String::new(),
            mutation => format!(", planted bug {mutation}"),
        };
        Self {
            path: attribute(&entry.path),
            name: visible(&entry.path, TEXT_CHARACTERS),
            link,
            class: entry.state.name(),
            mark: entry.state.mark(),
            state: entry.state.name(),
            title: entry.title.clone(),
            // To the second.
            started: entry.started_at.chars().take(19).collect::<String>().replace('T', " "),
            target: entry.target.clone(),
            workload: entry.workload.clone(),
            faults: format!("{}{mutation}", entry.nemesis),
            operations: count(entry.counts.invoked),
            rate: entry.rate.map_or_else(|| "–".to_owned(), amount),
        }
    }
}

struct CampaignRow {
    name: String,
    link: Option<String>,
    files: String,
}

impl CampaignRow {
    fn of(campaign: &Campaign) -> Self {
        let files = format!("/files/{}/", encoded(&campaign.path));
        Self {
            name: visible(&campaign.path, TEXT_CHARACTERS),
            link: campaign.has_page.then(|| format!("{files}index.html")),
            files,
        }
    }
}
