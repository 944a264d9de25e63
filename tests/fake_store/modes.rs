//! The table: every mode, what the store does in it, and the verdict of a run.

/// The verdict of a run by its exit code.
pub(crate) const VALID: u8 = 0;
pub(crate) const VIOLATION: u8 = 1;
pub(crate) const CRASH: u8 = 1;
pub(crate) const UNKNOWN: u8 = 3;
pub(crate) const FAILED: u8 = 4;

/// One way to behave.
pub(crate) struct Mode {
    /// Its name.
    pub(crate) name: &'static str,
    /// What clients do.
    pub(crate) workload: &'static str,
    /// The exit code of a run.
    pub(crate) exit: u8,
    /// What stands on the terminal besides.
    pub(crate) says: &'static str,
}

const fn mode(name: &'static str, exit: u8, says: &'static str) -> Mode {
    Mode { name, workload: "register", exit, says }
}

impl Mode {
    const fn with(self, workload: &'static str) -> Self {
        Self { workload, ..self }
    }
}

const PROVED: &str = "linearizable";

/// All of them. What each does is said in `store.rs` and `docs/fake-store.md`.
pub(crate) const MODES: &[Mode] = &[
    // Harmless: odd perhaps, and right.
    mode("honest", VALID, PROVED),
    mode("honest-large", VALID, PROVED).with("large"),
    mode("honest-append", VALID, PROVED).with("append"),
    mode("honest-retry", VALID, PROVED).with("retry"),
    mode("honest-delete", VALID, PROVED).with("delete"),
    mode("honest-expire", VALID, PROVED).with("expire"),
    mode("slow-start", VALID, PROVED),
    mode("slow-bytes", VALID, PROVED),
    mode("slow-at-times", VALID, PROVED),
    mode("closes-at-times", VALID, PROVED),
    mode("error-at-times", VALID, "fail: BUSY try later"),
    mode("chatty", VALID, PROVED),
    mode("colourful", VALID, PROVED),
    mode("daemons", VALID, PROVED),
    mode("ignores-sigterm", VALID, PROVED),
    // Lies: what clients saw cannot have been.
    mode("get-padded", VIOLATION, "violation"),
    mode("get-plus", VIOLATION, "violation"),
    mode("get-space", VIOLATION, "violation"),
    mode("get-float", VIOLATION, "violation"),
    mode("get-line-end", VIOLATION, "violation"),
    mode("get-nan", VIOLATION, "violation"),
    mode("get-empty", VIOLATION, "violation"),
    mode("get-binary", VIOLATION, "violation"),
    mode("get-hostile", VIOLATION, "violation"),
    mode("get-megabyte", VIOLATION, "violation"),
    mode("get-stale", VIOLATION, "violation"),
    mode("get-nothing", VIOLATION, "violation"),
    mode("set-dropped", VIOLATION, "violation"),
    mode("set-error-though-done", VIOLATION, "violation"),
    mode("swap-dropped", VIOLATION, "violation"),
    mode("swap-nil", VIOLATION, "violation"),
    mode("append-twice", VIOLATION, "violation").with("append"),
    // Replies of the wrong kind.
    mode("get-integer", UNKNOWN, "unexpected reply to a read: an integer"),
    mode("get-simple", UNKNOWN, "unexpected reply to a read: a simple string"),
    mode("get-ok", UNKNOWN, "unexpected reply to a read: a simple string"),
    mode("get-array", UNKNOWN, "unexpected reply to a read: an array"),
    mode("get-null-array", UNKNOWN, "unexpected reply to a read: a null array"),
    mode("get-null-resp3", UNKNOWN, "a reply of no type that RESP2 has"),
    mode("set-integer", UNKNOWN, "unexpected reply to a write: an integer"),
    mode("set-queued", UNKNOWN, "unexpected reply to a write: a simple string"),
    mode("set-bulk", UNKNOWN, "unexpected reply to a write: a bulk string"),
    mode("set-nil", UNKNOWN, "unexpected reply to a write: a null"),
    mode("swap-ok", UNKNOWN, "unexpected reply to a compare-and-set: a simple string"),
    mode("append-short", UNKNOWN, "unexpected reply to an append: an integer").with("append"),
    mode("delete-two", UNKNOWN, "unexpected reply to a delete: an integer").with("delete"),
    // No RESP2, or more of it than anybody wants.
    mode("push", UNKNOWN, "a reply of no type that RESP2 has"),
    mode("attribute", UNKNOWN, "a reply of no type that RESP2 has"),
    mode("line-feed", UNKNOWN, "a line that does not end with CRLF"),
    mode("long-bulk", UNKNOWN, "a bulk string longer than it said"),
    mode("negative-length", UNKNOWN, "a number that is none"),
    mode("overflowing-length", UNKNOWN, "a number that is none"),
    mode("endless-bulk", UNKNOWN, "a reply larger than the limit"),
    mode("gigabyte-bulk", UNKNOWN, "a reply larger than the limit"),
    mode("endless-line", UNKNOWN, "a line longer than the limit"),
    mode("deep-array", UNKNOWN, "more nested arrays than the limit"),
    mode("wide-array", UNKNOWN, "more elements than the limit"),
    mode("endless-array", UNKNOWN, "more elements than the limit"),
    // More than was asked for.
    mode("double", UNKNOWN, "surplus bytes after a reply"),
    mode("nul-after", UNKNOWN, "surplus bytes after a reply"),
    mode("nul-later", UNKNOWN, "surplus bytes after a reply"),
    mode("error-flood", UNKNOWN, "surplus bytes after a reply"),
    mode("unasked-at-times", UNKNOWN, "surplus bytes after a reply"),
    // Nothing was tested.
    mode("never", UNKNOWN, "no reply within"),
    mode("half", UNKNOWN, "connection closed before the reply"),
    mode("error-always", UNKNOWN, "fail: ERR no"),
    mode("error-moved", UNKNOWN, "info: MOVED"),
    mode("error-loading", UNKNOWN, "info: LOADING"),
    mode("error-hostile", UNKNOWN, "info: WEIRD"),
    mode("error-varied", UNKNOWN, "(other texts)"),
    mode("swap-error", UNKNOWN, "compare-and-sets came back ok; most often: `ERR syntax error`"),
    mode("get-error", UNKNOWN, "reads came back ok; most often: `ERR no reads`"),
    mode("delete-error", UNKNOWN, "deletes came back ok; most often: `ERR no deletes`")
        .with("delete"),
    // It does not come up, or does not stay.
    mode("exits-at-once", FAILED, "ended on its own"),
    mode("exits-midway", CRASH, "crash: node ended (exit status: 0)"),
    mode("aborts-midway", CRASH, "crash: node ended (signal: 6 (SIGABRT)"),
    mode("accepts-and-closes", FAILED, "n1 silent (connection"),
    mode("banner", FAILED, "n1 silent ("),
    mode("info-never", FAILED, "n1 silent (no reply within"),
    mode("info-binary", FAILED, "n1 silent (the status is no text)"),
    mode("info-endless", FAILED, "n1 silent (malformed reply: a reply larger than the limit"),
    mode("info-error", FAILED, "n1 silent (the status is no text)"),
];
