//! How runs went over time.

use std::collections::BTreeMap;

use askama::Template;
use partita_checker::Nanoseconds;

use super::entry::{Entry, State};
use super::filter::Filter;
use super::links::encoded;
use super::list::Choices;
use crate::chart::axis::AmountAxis;
use crate::chart::pen::{Anchor, Area, Path};
use crate::chart::plot::{LEFT, RIGHT, WIDTH};
use crate::chart::{MarkStyle, SvgBuilder, TextStyle};
use crate::text::number::{count, counted, duration};

/// How many runs a chart has, the newest of them.
const MOST_RUNS: usize = 200;
/// How many groups and titles the tables have.
const MOST_ROWS: usize = 100;
const HEIGHT: f64 = 110.0;

#[derive(Template)]
#[template(path = "site/trends.html")]
struct TrendsPage {
    choices: Choices,
    said: String,
    verdicts: String,
    rates: String,
    outages: String,
    groups: Vec<GroupRow>,
    titles: Vec<TitleRow>,
    list: String,
}

struct GroupRow {
    name: String,
    link: String,
    runs: String,
    finding: String,
    valid: String,
    others: String,
    newest: String,
}

struct TitleRow {
    title: String,
    runs: String,
    link: String,
    first: String,
    last: String,
}

/// How the runs that are wanted went, of all `entries`, the newest first.
///
/// # Panics
///
/// Never: rendering a template into a string cannot go wrong.
pub fn trends_page(entries: &[Entry], filter: &Filter) -> String {
    let found: Vec<&Entry> = entries.iter().filter(|entry| filter.has(entry)).collect();
    let mut drawn: Vec<&Entry> = found.iter().copied().take(MOST_RUNS).collect();
    drawn.reverse();
    let said = match drawn.len() == found.len() {
        true => format!("{}, the newest on the right", counted(found.len() as u64, "run")),
        false => format!(
            "the newest {} of {}, the newest on the right",
            drawn.len(),
            counted(found.len() as u64, "run")
        ),
    };
    TrendsPage {
        choices: Choices::of(entries, filter),
        said,
        verdicts: verdicts(&drawn),
        rates: amounts(
            &drawn,
            "Operations per second",
            |entry| entry.rate,
            |rate| format!("{} op/s", count(rate as u64)),
        ),
        outages: amounts(
            &drawn,
            "Longest time without an ok answer, in milliseconds",
            |entry| entry.longest_outage.map(Nanoseconds::as_milliseconds),
            |length| duration(Nanoseconds((length * 1e6) as u64)),
        ),
        groups: groups(&found),
        titles: titles(&found),
        list: format!("/?{}", filter.query(0)),
    }
    .render()
    .expect("rendering into a string cannot go wrong")
}

/// Where the run of this number stands, of so many.
fn column(number: usize, all: usize) -> (f64, f64) {
    let width = (RIGHT - LEFT) / all.max(20) as f64;
    (LEFT + number as f64 * width, (width - 1.0).max(0.8))
}

fn paint(state: State) -> MarkStyle {
    match state {
        State::Finding => MarkStyle::Culprit,
        State::Valid => MarkStyle::Ok,
        State::Unknown | State::UnderWay => MarkStyle::Fail,
        State::Harness | State::Unfinished | State::Unreadable => MarkStyle::DudFault,
    }
}

/// A row for each state, with a block for each run.
fn verdicts(runs: &[&Entry]) -> String {
    const ROW: f64 = 16.0;
    let states: Vec<State> =
        State::ALL.into_iter().filter(|it| runs.iter().any(|run| run.state == *it)).collect();
    let mut pen = SvgBuilder::new(WIDTH, 8.0 + ROW * states.len().max(1) as f64);
    for (row, state) in states.iter().enumerate() {
        let y = 4.0 + ROW * row as f64;
        pen.text((LEFT - 8.0, y + 11.0), Anchor::End, TextStyle::Muted, state.name());
        for (number, run) in runs.iter().enumerate().filter(|(_, run)| run.state == *state) {
            let (x, width) = column(number, runs.len());
            let area = Area { x, y: y + 1.0, width, height: ROW - 3.0 };
            pen.bar(area, 0.0, paint(*state), &format!("{}: {}", run.path, run.title));
        }
    }
    let told = states.iter().map(|state| {
        let number = runs.iter().filter(|run| run.state == *state).count();
        format!("{number} {}", state.name())
    });
    pen.finish("Verdicts", &told.collect::<Vec<_>>().join(", "))
}

/// A bar for each run that has the amount.
fn amounts(
    runs: &[&Entry],
    name: &str,
    of: impl Fn(&Entry) -> Option<f64>,
    words: impl Fn(f64) -> String,
) -> String {
    let (top, bottom) = (8.0, 8.0 + HEIGHT);
    let known: Vec<_> =
        runs.iter().map(|run| of(run).filter(|amount| amount.is_finite())).collect();
    let greatest = known.iter().flatten().copied().fold(0.0, f64::max);
    let axis = AmountAxis::holding(greatest, top, bottom);
    let mut pen = SvgBuilder::new(WIDTH, bottom + 8.0);
    for tick in axis.ticks() {
        pen.line((LEFT, tick.at), (RIGHT, tick.at), MarkStyle::Grid);
        pen.text((LEFT - 8.0, tick.at + 4.0), Anchor::End, TextStyle::Muted, &tick.label);
    }
    for (number, (run, amount)) in runs.iter().zip(&known).enumerate() {
        let Some(amount) = amount else { continue };
        let (x, width) = column(number, runs.len());
        let y = axis.y(amount.max(0.0));
        let area = Area { x, y, width, height: (bottom - y).max(1.0) };
        let hint = format!("{}: {}", run.path, words(*amount));
        pen.bar(area, 0.0, MarkStyle::Ok, &hint);
        if run.state == State::Finding {
            let mut mark = Path::default();
            mark.start((x + width / 2.0, top));
            mark.stroke((x + width / 2.0, bottom));
            pen.path(&mark, MarkStyle::Finding, &hint);
        }
    }
    pen.line((LEFT, bottom), (RIGHT, bottom), MarkStyle::Axis);
    let told = known.iter().flatten().count();
    pen.finish(
        name,
        &format!("{} with a figure, at most {}", counted(told as u64, "run"), words(greatest)),
    )
}

/// The runs by target, workload and planted bug, the most first.
fn groups(found: &[&Entry]) -> Vec<GroupRow> {
    let mut groups: BTreeMap<[&str; 3], Vec<&Entry>> = BTreeMap::new();
    for entry in found {
        groups.entry([&entry.target, &entry.workload, &entry.mutation]).or_default().push(entry);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    let row = |([target, workload, mutation], runs): ([&str; 3], Vec<&Entry>)| {
        let number = |state| runs.iter().filter(|run| run.state == state).count();
        let (finding, valid) = (number(State::Finding), number(State::Valid));
        let bug = if mutation.is_empty() { String::new() } else { format!(", {mutation}") };
        let wanted = Filter {
            target: target.to_owned(),
            workload: workload.to_owned(),
            text: mutation.to_owned(),
            ..Filter::default()
        };
        GroupRow {
            name: format!("{target}, {workload}{bug}"),
            link: format!("/?{}", wanted.query(0)),
            runs: count(runs.len() as u64),
            finding: count(finding as u64),
            valid: count(valid as u64),
            others: count((runs.len() - finding - valid) as u64),
            newest: runs.first().map(|run| run.title.clone()).unwrap_or_default(),
        }
    };
    groups.into_iter().take(MOST_ROWS).map(row).collect()
}

/// What was found, the most frequent first, with the first and the last run that has it.
fn titles(found: &[&Entry]) -> Vec<TitleRow> {
    let mut titles: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in found.iter().filter(|entry| entry.state == State::Finding) {
        titles.entry(&entry.title).or_default().push(entry);
    }
    let mut titles: Vec<_> = titles.into_iter().collect();
    titles.sort_by_key(|(_, runs)| std::cmp::Reverse(runs.len()));
    let name = |run: Option<&&Entry>| run.map(|run| run.path.clone()).unwrap_or_default();
    let row = |(title, runs): (&str, Vec<&Entry>)| TitleRow {
        title: title.to_owned(),
        runs: count(runs.len() as u64),
        link: format!("/run/{}", encoded(&name(runs.first()))),
        first: name(runs.last()),
        last: name(runs.first()),
    };
    titles.into_iter().take(MOST_ROWS).map(row).collect()
}
