//! What an address asks for.

use std::borrow::Cow;

use partita_reports::site::Filter;
use percent_encoding::percent_decode_str;

/// The longest address that is read, in bytes.
const LONGEST_ADDRESS: usize = 8 << 10;
/// The most names that a path has.
const MOST_NAMES: usize = 32;
/// The longest name of a file, in bytes.
const LONGEST_NAME: usize = 255;

/// What an address asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// The list of runs.
    List(Filter),
    /// How runs went over time.
    Trends(Filter),
    /// Two runs side by side; a form may name only one of them, or none.
    Compare(Option<Inside>, Option<Inside>),
    /// One run.
    Run(Inside),
    /// The page that follows a run.
    Live(Inside),
    /// A run's events as a stream.
    Events(Inside),
    /// A file, or the files of a folder.
    Files(Inside),
    /// The newest run.
    Latest,
    /// The stylesheet.
    Style,
    /// The script of the page that follows a run.
    LiveScript,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestError {
    /// There is no such thing, or none that is shown.
    NotFound,
    /// It is too long.
    TooLong,
}

/// A path that lies inside of the site's folder whatever it says: names without `/`, none of them
/// hidden, none of them `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inside(Vec<String>);

impl Inside {
    /// The path of a text whose names are joined by `/`; `None` if a name may not be asked for.
    pub fn of(path: &str) -> Option<Self> {
        let names: Vec<String> = path.split('/').map(str::to_owned).collect();
        (names.len() <= MOST_NAMES && names.iter().all(|name| is_plain(name)))
            .then_some(Self(names))
    }

    /// The same with one more name.
    #[must_use]
    pub fn with(&self, name: &str) -> Self {
        Self(self.0.iter().cloned().chain([name.to_owned()]).collect())
    }

    /// The names, outermost first; at least one.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The names joined by `/`.
    pub fn path(&self) -> String {
        self.0.join("/")
    }

    /// The last name.
    pub fn name(&self) -> &str {
        self.0.last().map_or("", String::as_str)
    }
}

/// Whether a name is one of a file that is shown: not hidden, not `..`, and one name only.
pub fn is_plain(name: &str) -> bool {
    let is_sound = |byte: u8| byte != b'/' && byte != 0;
    !name.is_empty()
        && !name.starts_with('.')
        && name.len() <= LONGEST_NAME
        && name.bytes().all(is_sound)
}

/// What is asked for by an address that ends with a path.
type Make = fn(Inside) -> Route;

/// What the path and the query of an address ask for.
///
/// # Errors
///
/// [`RequestError`] if there is no such thing.
pub fn route(path: &str, query: &str) -> Result<Route, RequestError> {
    if path.len() + query.len() > LONGEST_ADDRESS {
        return Err(RequestError::TooLong);
    }
    let inside = |rest: &str| decoded(rest.strip_suffix('/').unwrap_or(rest));
    let pairs = pairs(query);
    let named = |wanted: &str| {
        let value = pairs.iter().find(|(name, _)| name == wanted);
        value.and_then(|(_, value)| Inside::of(value))
    };
    let whole = match path {
        "/" => Some(Route::List(Filter::of(&pairs))),
        "/trends" => Some(Route::Trends(Filter::of(&pairs))),
        "/compare" => Some(Route::Compare(named("a"), named("b"))),
        "/latest" => Some(Route::Latest),
        "/style.css" => Some(Route::Style),
        "/live.js" => Some(Route::LiveScript),
        _ => None,
    };
    if let Some(route) = whole {
        return Ok(route);
    }
    let below: [(&str, Make); 4] = [
        ("/run/", Route::Run),
        ("/live/", Route::Live),
        ("/events/", Route::Events),
        ("/files/", Route::Files),
    ];
    let found =
        below.into_iter().find_map(|(prefix, make)| Some((path.strip_prefix(prefix)?, make)));
    let (rest, make) = found.ok_or(RequestError::NotFound)?;
    inside(rest).map(make).ok_or(RequestError::NotFound)
}

/// The path of the rest of an address. Names are decoded one by one, so that an encoded `/` is part of
/// a name, and refused.
fn decoded(rest: &str) -> Option<Inside> {
    let names = rest.split('/').map(|name| percent_decode_str(name).decode_utf8().ok());
    let names = names.map(|name| name.map(Cow::into_owned));
    let names: Vec<String> = names.collect::<Option<_>>()?;
    (names.len() <= MOST_NAMES && names.iter().all(|name| is_plain(name))).then_some(Inside(names))
}

/// The names and values of a query, in order.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let text = |part: &str| {
        let spaced = part.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(a, b)| (text(a), text(b)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lead_to_what_they_name() {
        let inside = |path| Inside::of(path).expect("plain");
        assert_eq!(route("/run/a", ""), Ok(Route::Run(inside("a"))));
        assert_eq!(route("/live/c/runs/a", ""), Ok(Route::Live(inside("c/runs/a"))));
        assert_eq!(route("/files/a/nodes/", ""), Ok(Route::Files(inside("a/nodes"))));
        assert_eq!(route("/files/a%20b/x%25.log", ""), Ok(Route::Files(inside("a b/x%.log"))));
        assert_eq!(
            route("/compare", "a=x%2Fy&b=z"),
            Ok(Route::Compare(Some(inside("x/y")), Some(inside("z"))))
        );
        assert_eq!(route("/compare", "a=..%2Fy&b="), Ok(Route::Compare(None, None)));
        let Ok(Route::List(filter)) = route("/", "text=stale+read&verdict=finding&page=2&x=y")
        else {
            panic!("a list");
        };
        assert_eq!((filter.text.as_str(), filter.page), ("stale read", 2));
    }

    #[test]
    fn nothing_leads_out_of_the_folder() {
        for path in [
            "/files/../etc/passwd",
            "/files/a/../../etc/passwd",
            "/files/%2e%2e/x",
            "/files/a/%2E%2E/%2e%2e/x",
            "/files/..%2f..%2fetc/passwd",
            "/files/a%2fb",
            "/files//etc/passwd",
            "/files/%2fetc%2fpasswd",
            "/files/a/./b",
            "/files/a/%00",
            "/files/.hidden",
            "/files/a/.git/config",
            "/files/",
            "/files/%ff",
            "/files/a//",
            "/run/..",
            "/live/",
            "/events/../x",
            "/nothing",
            "",
            "//",
            "/files",
        ] {
            assert_eq!(route(path, ""), Err(RequestError::NotFound), "{path}");
        }
        // Encoded twice is a name with a percent sign.
        let Ok(Route::Files(inside)) = route("/files/%252e%252e", "") else { panic!("a name") };
        assert_eq!(inside.names(), ["%2e%2e"]);
    }

    #[test]
    fn an_address_is_bounded() {
        assert_eq!(route(&format!("/run/{}", "a".repeat(9_000)), ""), Err(RequestError::TooLong));
        assert_eq!(route("/", &"a".repeat(9_000)), Err(RequestError::TooLong));
        assert_eq!(route(&format!("/run/{}", "a".repeat(256)), ""), Err(RequestError::NotFound));
        assert_eq!(route(&format!("/run/{}", "a/".repeat(40)), ""), Err(RequestError::NotFound));
    }
}
