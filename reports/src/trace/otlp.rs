//! An `ExportTraceServiceRequest` as JSON: one resource for each lane, one span below the run's for
//! everything in it.

use std::io::{self, Write};

use partita_checker::Nanoseconds;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Lane, Span, Trace};

/// Written to the field `kind` of a span.
const INTERNAL: u8 = 1;
const CLIENT: u8 = 3;
/// Written to the field `status.code`.
const OK: u8 = 1;
const ERROR: u8 = 2;

pub(super) fn write(trace: &Trace<'_>, mut output: impl Write) -> io::Result<()> {
    let digest = Sha256::digest(trace.name.as_bytes());
    let ids = Ids { trace: hex(&digest[..16]), root: hex(&digest[16..24]), last: 0 };
    let root = ids.root.clone();
    let mut writer = Writer { output: &mut output, ids, epoch: trace.epoch_ns };
    write!(writer.output, "{{\"resourceSpans\":[")?;
    let events: Vec<_> = trace
        .findings()
        .map(|(at, what)| json!({"timeUnixNano": writer.time(at), "name": what}))
        .collect();
    writer.resource("partita", "", |writer| {
        let mut span = writer.span(&root, trace.name, Nanoseconds(0), trace.end());
        span["kind"] = json!(INTERNAL);
        span["events"] = json!(events);
        write!(writer.output, "{span}")
    })?;
    for lane in trace.lanes() {
        writer.lane(&lane)?;
    }
    writeln!(writer.output, "\n]}}")
}

struct Ids {
    trace: String,
    root: String,
    last: u64,
}

struct Writer<'a, W> {
    output: &'a mut W,
    ids: Ids,
    epoch: u64,
}

impl<W: Write> Writer<'_, W> {
    fn lane(&mut self, lane: &Lane) -> io::Result<()> {
        write!(self.output, ",")?;
        self.resource(lane.group, &lane.name, |writer| {
            for (place, span) in lane.spans.iter().enumerate() {
                let comma = if place == 0 { "" } else { ",\n" };
                let span = writer.child(span, lane.group);
                write!(writer.output, "{comma}{span}")?;
            }
            Ok(())
        })
    }

    fn resource(
        &mut self,
        service: &str,
        instance: &str,
        spans: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut attributes = vec![attribute("service.name", &json!(service))];
        if !instance.is_empty() {
            attributes.push(attribute("service.instance.id", &json!(instance)));
        }
        let resource = json!({ "attributes": attributes });
        let scope = json!({"name": "partita", "version": env!("CARGO_PKG_VERSION")});
        write!(
            self.output,
            "\n{{\"resource\":{resource},\"scopeSpans\":[{{\"scope\":{scope},\"spans\":["
        )?;
        spans(self)?;
        write!(self.output, "]}}]}}")
    }

    fn child(&mut self, span: &Span, group: &str) -> Value {
        self.ids.last += 1;
        let id = hex(&self.ids.last.to_be_bytes());
        let mut written = self.span(&id, &span.name, span.began, span.ended);
        written["parentSpanId"] = json!(self.ids.root);
        written["kind"] = json!(if group == "clients" { CLIENT } else { INTERNAL });
        written["status"] = json!({"code": if span.is_error { ERROR } else { OK }});
        let known = span.arguments.iter().filter(|(_, value)| !value.is_null());
        let attributes: Vec<_> =
            known.map(|(name, value)| attribute(&format!("partita.{name}"), value)).collect();
        written["attributes"] = json!(attributes);
        written
    }

    fn span(&self, id: &str, name: &str, began: Nanoseconds, ended: Nanoseconds) -> Value {
        json!({
            "traceId": self.ids.trace, "spanId": id, "name": name,
            "startTimeUnixNano": self.time(began), "endTimeUnixNano": self.time(ended),
        })
    }

    /// Numbers of 64 bits are texts in the JSON of protocol buffers.
    fn time(&self, time: Nanoseconds) -> String {
        self.epoch.saturating_add(time.0).to_string()
    }
}

fn attribute(name: &str, value: &Value) -> Value {
    let value = match value {
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(|item| json!({"stringValue": item})).collect();
            json!({"arrayValue": {"values": items}})
        }
        text => json!({ "stringValue": text }),
    };
    json!({"key": name, "value": value})
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
