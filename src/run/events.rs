//! Tells what happens in a run to everybody who wants to know: the terminal, `events.jsonl`, a log.
//!
//! An event gets its time and goes to every sink under one lock, so that all see the same events in
//! the same order. A sink that fails keeps none of the others from anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use partita_checker::Nanoseconds;
use partita_reports::event::{self, RunEvent, Stamped};

use super::clock::RunClock;
use super::folder::RunFolder;

/// The file of events in a run's folder.
const FILE: &str = "events.jsonl";

/// Something that takes the events of a run.
pub trait Sink: Send {
    /// What it is called in messages.
    fn name(&self) -> &str;

    /// Takes an event. Called in the order of events, and again after an error.
    ///
    /// # Errors
    ///
    /// If it was not taken. The first error of a sink becomes a note of the run.
    fn take(&mut self, event: &Stamped) -> io::Result<()>;
}

/// Where a run tells its events. Clones tell them to the same sinks.
#[derive(Clone)]
pub struct Events {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    clock: RunClock,
    /// When the clock was started, since the run began: not zero in a process that concludes the run of
    /// another.
    began: Nanoseconds,
    sinks: Vec<Box<dyn Sink>>,
    failures: Vec<(String, String)>,
}

impl Events {
    /// Tells events to these sinks, stamped by `clock`.
    pub fn new(clock: RunClock, sinks: Vec<Box<dyn Sink>>) -> Self {
        Self::resumed(clock, Nanoseconds::default(), sinks)
    }

    /// The same for the end of a run whose last event was told at `began` by another process.
    pub fn resumed(clock: RunClock, began: Nanoseconds, sinks: Vec<Box<dyn Sink>>) -> Self {
        let inner = Inner { clock, began, sinks, failures: Vec::new() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Tells every sink that this happens now.
    pub fn tell(&self, event: RunEvent) {
        let mut inner = self.lock();
        let at_ns = Nanoseconds(inner.began.0.saturating_add(inner.clock.now().0));
        let event = Stamped { at_ns, event };
        let Inner { sinks, failures, .. } = &mut *inner;
        for sink in sinks {
            let taken = sink.take(&event);
            let is_new = failures.iter().all(|(name, _)| name != sink.name());
            if let (Err(error), true) = (taken, is_new) {
                failures.push((sink.name().to_owned(), error.to_string()));
            }
        }
    }

    /// Tells something that a reader should know.
    pub fn remark(&self, text: impl Into<String>) {
        self.tell(RunEvent::Remark { text: text.into() });
    }

    /// Which sinks miss events, a sentence each.
    pub fn failures(&self) -> Vec<String> {
        let inner = self.lock();
        let sentence = |(name, error): &(String, String)| format!("{name} is incomplete: {error}");
        inner.failures.iter().map(sentence).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `events.jsonl`: a line an event, with the kernel as soon as it is told.
pub struct EventsFile {
    file: File,
    /// Whether a write went wrong, and the last line may not be whole.
    is_broken: bool,
}

impl EventsFile {
    /// Creates the file in `folder`.
    ///
    /// # Errors
    ///
    /// If it cannot be made.
    pub fn create(folder: &RunFolder) -> io::Result<Self> {
        Ok(Self { file: File::create(folder.file(FILE))?, is_broken: false })
    }

    /// Opens the file that a process left behind which was killed, and cuts off a last line that is not
    /// whole; also when the last event was told. `None` if no event was.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or was written by a newer version.
    pub fn resume(folder: &RunFolder) -> io::Result<Option<(Self, Nanoseconds)>> {
        let path: PathBuf = folder.file(FILE);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read?,
        };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        let mut events =
            bytes[..whole].split_inclusive(|byte| *byte == b'\n').map(serde_json::from_slice);
        let Some(first) = events.next() else { return Ok(None) };
        let first: Stamped = first?;
        if !matches!(&first.event, RunEvent::Started(it) if it.format <= event::FORMAT) {
            return Err(io::Error::other("it is of a newer format"));
        }
        let last: Stamped = events.next_back().transpose()?.unwrap_or(first);
        let file = OpenOptions::new().append(true).open(&path)?;
        file.set_len(whole as u64)?;
        Ok(Some((Self { file, is_broken: false }, last.at_ns)))
    }
}

impl Sink for EventsFile {
    fn name(&self) -> &str {
        FILE
    }

    fn take(&mut self, event: &Stamped) -> io::Result<()> {
        if self.is_broken {
            // What followed would be glued to half a line.
            return Err(io::Error::other("an earlier event could not be written"));
        }
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        self.is_broken = written.is_err();
        written
    }
}

#[cfg(test)]
mod tests {
    use partita_reports::event::Started;

    use super::*;

    struct Kept(Arc<Mutex<Vec<Stamped>>>);

    impl Sink for Kept {
        fn name(&self) -> &str {
            "kept"
        }

        fn take(&mut self, event: &Stamped) -> io::Result<()> {
            self.0.lock().expect("whole").push(event.clone());
            Ok(())
        }
    }

    struct Full;

    impl Sink for Full {
        fn name(&self) -> &str {
            "full"
        }

        fn take(&mut self, _: &Stamped) -> io::Result<()> {
            Err(io::Error::other("no space left"))
        }
    }

    fn started() -> RunEvent {
        RunEvent::Started(Started {
            format: event::FORMAT,
            partita: "0".to_owned(),
            run: "run".to_owned(),
            target: "store".to_owned(),
            workload: "register".to_owned(),
            seed: 1,
            lab: "none".to_owned(),
            nodes: Vec::new(),
        })
    }

    fn folder() -> (tempfile::TempDir, RunFolder) {
        let place = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::create(place.path(), "run").expect("a folder");
        (place, folder)
    }

    #[test]
    fn a_sink_that_fails_keeps_no_event_from_the_others_and_is_noted_once() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let sinks: Vec<Box<dyn Sink>> = vec![Box::new(Full), Box::new(Kept(Arc::clone(&kept)))];
        let events = Events::new(RunClock::start(), sinks);
        for text in ["one", "two", "three"] {
            events.remark(text);
        }
        let kept = kept.lock().expect("whole");
        assert_eq!(kept.len(), 3);
        assert!(kept.is_sorted_by_key(|event| event.at_ns));
        assert_eq!(events.failures(), ["full is incomplete: no space left"]);
    }

    #[test]
    fn a_file_that_was_cut_off_goes_on_after_its_last_whole_event() {
        let (_place, folder) = folder();
        let file = EventsFile::create(&folder).expect("a file");
        let events = Events::new(RunClock::start(), vec![Box::new(file)]);
        events.tell(started());
        events.remark("whole");
        let path = folder.file(FILE);
        let mut bytes = std::fs::read(&path).expect("read");
        bytes.extend(b"{\"at_ns\":99,\"type\":\"rem");
        std::fs::write(&path, &bytes).expect("written");

        let (file, began) = EventsFile::resume(&folder).expect("opened").expect("events");
        let events = Events::resumed(RunClock::start(), began, vec![Box::new(file)]);
        events.remark("after");
        let text = std::fs::read_to_string(&path).expect("read");
        let all: Vec<Stamped> =
            text.lines().map(|line| serde_json::from_str(line).expect("whole")).collect();
        assert_eq!(all.len(), 3, "{text}");
        assert!(all.is_sorted_by_key(|event| event.at_ns), "{text}");
        assert_eq!(all[2].event, RunEvent::Remark { text: "after".to_owned() });
    }

    #[test]
    fn nothing_is_appended_to_a_file_of_a_newer_format() {
        let (_place, folder) = folder();
        assert!(EventsFile::resume(&folder).expect("no file").is_none());
        let newer = Stamped { at_ns: Nanoseconds(0), event: started() }.to_string();
        let newer = newer.replace("\"format\":1", "\"format\":2") + "\n";
        std::fs::write(folder.file(FILE), &newer).expect("written");
        assert!(EventsFile::resume(&folder).is_err());
        assert_eq!(std::fs::read_to_string(folder.file(FILE)).expect("read"), newer);
        std::fs::write(folder.file(FILE), "{\"at_ns\":0,").expect("written");
        assert!(EventsFile::resume(&folder).expect("half a line").is_none());
    }
}
