//! Registers whose answers tell versions: `[nil value]` is asked, `[version value]` answered, as in the
//! register test of Jepsen's etcd suite.

use super::Entry;
use crate::event::{EventKind, Function};
use crate::value::Value;

/// Makes of every such pair its value, with the version beside it; how many operations there are.
/// Nothing is done unless all reads, writes and compare-and-sets are like that, and one was answered: a
/// compare-and-set from nothing is such a pair as well until a version stands in its place.
pub(super) fn take(entries: &mut [Entry]) -> u64 {
    let is_register =
        |function| matches!(function, Function::Read | Function::Write | Function::Cas);
    let fits = |entry: &Entry| {
        let event = &entry.event;
        let pair = match &event.value {
            Value::List(pair) => <&[Value; 2]>::try_from(&**pair).ok(),
            _ => None,
        };
        match (event.kind, pair) {
            _ if !is_register(event.function) => false,
            (EventKind::Invoke, Some([version, value])) => {
                // What a compare-and-set takes is a pair itself.
                version.is_null()
                    && (event.function != Function::Cas || matches!(value, Value::List(_)))
            }
            (EventKind::Ok, Some([Value::Integer(version), _])) => *version >= 0,
            (EventKind::Fail | EventKind::Info, _) => true,
            _ => false,
        }
    };
    let is_answered = entries.iter().any(|entry| entry.event.kind == EventKind::Ok);
    if !is_answered || !entries.iter().all(fits) {
        return 0;
    }
    for entry in &mut *entries {
        let event = &mut entry.event;
        let Value::List(pair) = &event.value else { continue };
        let [version, value] = [pair[0].clone(), pair[1].clone()];
        if let (EventKind::Ok, Value::Integer(version)) = (event.kind, version) {
            event.revision = u64::try_from(version).ok();
        }
        event.value = value;
    }
    entries.iter().filter(|entry| entry.event.kind == EventKind::Invoke).count() as u64
}
