//! What is answered to a route, as far as the index tells; what must be read is named.

use partita_reports::site::{
    Campaign, Entry, LIVE_SCRIPT, STYLE, encoded, list_page, live_page, message_page, trends_page,
};

use super::route::{Inside, RequestError, Route};

/// What the index knows, at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// The runs, the newest first.
    pub entries: Vec<Entry>,
    /// The campaigns, by path.
    pub campaigns: Vec<Campaign>,
}

impl Known {
    /// The run in this folder.
    pub fn entry(&self, run: &Inside) -> Option<&Entry> {
        let path = run.path();
        self.entries.iter().find(|entry| entry.path == path)
    }

    /// Whether a path is a run's or a campaign's folder, or inside of one.
    fn holds(&self, wanted: &Inside) -> bool {
        let folders = self.entries.iter().map(|entry| entry.path.as_str());
        let mut folders =
            folders.chain(self.campaigns.iter().map(|campaign| campaign.path.as_str()));
        let path = wanted.path();
        folders.any(|folder| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A page of the site.
    Page {
        /// The status.
        status: u16,
        /// The page.
        html: String,
    },
    /// The stylesheet or a script of the site.
    Asset {
        /// The type of its content.
        kind: &'static str,
        /// The content.
        text: &'static str,
    },
    /// Another address.
    See(String),
    /// The page of this run, with what is in its folder.
    Run(Inside),
    /// A file or folder.
    Files(Inside),
    /// The events of this run.
    Events(Inside),
    /// These two runs side by side.
    Compare(Inside, Inside),
}

impl Answer {
    /// A page that says why there is no other.
    pub fn message(status: u16, title: &str, text: &str) -> Self {
        Self::Page { status, html: message_page(title, text) }
    }

    /// That there is no such thing.
    pub fn not_found() -> Self {
        Self::message(404, "Not found", "There is nothing at this address.")
    }
}

/// What is answered to an address.
pub fn answer(asked: Result<Route, RequestError>, known: &Known) -> Answer {
    let page = |html| Answer::Page { status: 200, html };
    let if_known = |run: Inside, make: fn(Inside) -> Answer| match known.entry(&run) {
        Some(_) => make(run),
        None => Answer::not_found(),
    };
    let route = match asked {
        Ok(route) => route,
        Err(RequestError::NotFound) => return Answer::not_found(),
        Err(RequestError::TooLong) => {
            return Answer::message(414, "Too long", "The address is too long.");
        }
    };
    match route {
        Route::List(filter) => page(list_page(&known.entries, &known.campaigns, &filter)),
        Route::Trends(filter) => page(trends_page(&known.entries, &filter)),
        Route::Style => Answer::Asset { kind: "text/css; charset=utf-8", text: STYLE },
        Route::LiveScript => {
            Answer::Asset { kind: "text/javascript; charset=utf-8", text: LIVE_SCRIPT }
        }
        Route::Latest => known.entries.first().map_or_else(Answer::not_found, |newest| {
            Answer::See(format!("/run/{}", encoded(&newest.path)))
        }),
        Route::Run(run) => if_known(run, Answer::Run),
        Route::Events(run) => if_known(run, Answer::Events),
        Route::Live(run) => {
            known.entry(&run).map_or_else(Answer::not_found, |entry| page(live_page(entry)))
        }
        Route::Files(path) if known.holds(&path) => Answer::Files(path),
        Route::Files(_) => Answer::not_found(),
        Route::Compare(Some(a), Some(b)) => match (known.entry(&a), known.entry(&b)) {
            (Some(_), Some(_)) => Answer::Compare(a, b),
            _ => Answer::not_found(),
        },
        Route::Compare(..) => Answer::message(
            400,
            "Two runs are needed",
            "Choose an A and a B in the list of runs to put them side by side.",
        ),
    }
}

/// The type of a file's content by its name, and whether it is a page of ours: shown as a page,
/// though with nothing allowed that could reach the site. Everything else is text or is kept as a file.
pub fn content_type(name: &str) -> (&'static str, bool) {
    const TEXTS: &[&str] = &[
        "json", "jsonl", "log", "times", "toml", "md", "txt", "xml", "csv", "edn", "html", "svg",
        "js", "css",
    ];
    if matches!(name, "report.html" | "index.html") {
        return ("text/html; charset=utf-8", true);
    }
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    match TEXTS.contains(&ending) {
        true => ("text/plain; charset=utf-8", false),
        false => ("application/octet-stream", false),
    }
}

#[cfg(test)]
mod tests {
    use partita_reports::site::Filter;

    use super::*;

    fn known() -> Known {
        let run = |path: &str| Entry::of_record(path, br#"{"verdict":"valid","target":"t"}"#, true);
        let campaign = Campaign { path: "nightly".to_owned(), has_page: true };
        Known { entries: vec![run("b"), run("a")], campaigns: vec![campaign] }
    }

    fn inside(path: &str) -> Inside {
        Inside::of(path).expect("plain")
    }

    #[test]
    fn only_folders_of_runs_and_campaigns_are_shown() {
        let known = known();
        let files = |path: &str| answer(Ok(Route::Files(inside(path))), &known);
        for path in ["a", "a/run.json", "a/nodes/n1/stdout.log", "nightly/index.html"] {
            assert_eq!(files(path), Answer::Files(inside(path)), "{path}");
        }
        for path in ["ab", "c", "c/run.json", "secret.txt", "nightly2/index.html"] {
            assert_eq!(files(path), Answer::not_found(), "{path}");
        }
    }

    #[test]
    fn a_run_that_is_not_known_has_no_page() {
        let known = known();
        for make in [Route::Run, Route::Live, Route::Events] {
            assert_eq!(answer(Ok(make(inside("c"))), &known), Answer::not_found());
            assert_ne!(answer(Ok(make(inside("a"))), &known), Answer::not_found());
        }
        let compare = |a, b| answer(Ok(Route::Compare(a, b)), &known);
        assert_eq!(compare(Some(inside("a")), Some(inside("c"))), Answer::not_found());
        let both = Answer::Compare(inside("a"), inside("b"));
        assert_eq!(compare(Some(inside("a")), Some(inside("b"))), both);
        assert!(matches!(compare(Some(inside("a")), None), Answer::Page { status: 400, .. }));
        assert_eq!(answer(Ok(Route::Latest), &known), Answer::See("/run/b".to_owned()));
        let list = answer(Ok(Route::List(Filter::default())), &Known::default());
        assert!(matches!(list, Answer::Page { status: 200, .. }), "an empty folder is no failure");
        assert_eq!(answer(Ok(Route::Latest), &Known::default()), Answer::not_found());
    }

    #[test]
    fn only_pages_of_ours_are_pages() {
        assert_eq!(content_type("report.html"), ("text/html; charset=utf-8", true));
        for name in ["evil.html", "x.svg", "run.json", "stdout.log", "a.js"] {
            assert_eq!(content_type(name), ("text/plain; charset=utf-8", false), "{name}");
        }
        for name in ["n1-to-n2.pcap", "MANIFEST", "report.html.exe"] {
            assert_eq!(content_type(name), ("application/octet-stream", false), "{name}");
        }
    }
}
