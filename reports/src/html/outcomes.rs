//! The tables of what became of operations, by kind and error.

use crate::outcomes::Outcomes;
use crate::text::number::count;
use crate::text::visible::visible;

/// How many rows a table has, at most.
const MOST_ROWS: usize = 30;

/// How much of a text a row shows, in characters.
const SHOWN_CHARACTERS: usize = 240;

/// What became of operations; texts are visible and bounded, the template escapes them.
pub(super) struct OutcomeTables {
    pub(super) kinds: Vec<KindRow>,
    pub(super) errors: Vec<ErrorRow>,
    /// Operations whose errors have no row.
    pub(super) errors_left_out: String,
    pub(super) protocol: Vec<ProtocolRow>,
    /// Protocol violations that have no row.
    pub(super) protocol_left_out: String,
}

/// One kind of operation.
pub(super) struct KindRow {
    pub(super) kind: String,
    pub(super) sent: String,
    pub(super) ok: String,
    pub(super) note: String,
    pub(super) fail: String,
    pub(super) info: String,
}

/// One error of one kind of operation at one node.
pub(super) struct ErrorRow {
    pub(super) count: String,
    pub(super) kind: String,
    pub(super) node: String,
    pub(super) outcome: String,
    pub(super) text: String,
}

/// One way in which one node broke the protocol.
pub(super) struct ProtocolRow {
    pub(super) count: String,
    pub(super) node: String,
    pub(super) what: String,
    pub(super) sample: String,
}

impl OutcomeTables {
    pub(super) fn of(outcomes: &Outcomes) -> Self {
        let kinds = outcomes.kinds.iter().map(|it| KindRow {
            kind: shown(&it.kind),
            sent: count(it.sent),
            ok: count(it.ok),
            note: match it.ok - it.effective.min(it.ok) {
                0 => String::new(),
                without => format!("{} were refused", count(without)),
            },
            fail: count(it.fail),
            info: count(it.info),
        });
        let errors = outcomes.errors.iter().take(MOST_ROWS).map(|it| ErrorRow {
            count: count(it.count),
            kind: shown(&it.kind),
            node: shown(&it.node),
            outcome: shown(&it.outcome),
            text: shown(&it.text),
        });
        let protocol = outcomes.protocol_violations.iter().take(MOST_ROWS).map(|it| ProtocolRow {
            count: count(it.count),
            node: shown(&it.node),
            what: shown(&it.what),
            sample: shown(&it.sample),
        });
        let left_out = |rest: u64| if rest == 0 { String::new() } else { count(rest) };
        Self {
            kinds: kinds.take(MOST_ROWS).collect(),
            errors: errors.collect(),
            errors_left_out: left_out(
                outcomes.errors.iter().skip(MOST_ROWS).map(|it| it.count).sum(),
            ),
            protocol: protocol.collect(),
            protocol_left_out: left_out(
                outcomes.protocol_violations.iter().skip(MOST_ROWS).map(|it| it.count).sum(),
            ),
        }
    }
}

fn shown(text: &str) -> String {
    visible(text, SHOWN_CHARACTERS)
}
