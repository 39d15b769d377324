//! Traces in the form that a collector takes: `ExportTraceServiceRequest` of the OpenTelemetry protocol 1.x, in protobuf.
//!
//! The few messages are written by hand: generated code would be a hundred times as much. A test reads them by the protocol's own.

use cloakroom_core::trace::{Attribute, Finished, Span};

/// What sends traces, told with each of them.
pub(super) struct Resource<'a> {
    pub(super) service: &'a str,
    pub(super) address: &'a str,
}

/// A protobuf message that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

/// The bytes of a request that exports these traces.
pub(super) fn request(resource: &Resource<'_>, traces: &[Finished]) -> Vec<u8> {
    let mut about = Message::default();
    for (key, value) in [
        ("service.name", resource.service),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("server.address", resource.address),
    ] {
        about.message(1, &key_value(key, &text(value)));
    }
    let mut scope = Message::default();
    scope.bytes(1, b"cloakroom");
    let mut spans = Message::default();
    spans.message(1, &scope);
    for trace in traces {
        for (n, span) in trace.spans.iter().enumerate() {
            spans.message(2, &of_span(&trace.id, span, if n == 0 { SERVER } else { INTERNAL }));
        }
    }
    let mut of_resource = Message::default();
    of_resource.message(1, &about);
    of_resource.message(2, &spans);
    let mut request = Message::default();
    request.message(1, &of_resource);
    request.0
}

/// `SpanKind`.
const INTERNAL: u64 = 1;
const SERVER: u64 = 2;
/// `StatusCode`.
const ERROR: u64 = 2;

fn of_span(trace: &[u8; 16], span: &Span, kind: u64) -> Message {
    let mut message = Message::default();
    message.bytes(1, trace);
    message.bytes(2, &span.id);
    if let Some(parent) = &span.parent {
        message.bytes(4, parent);
    }
    message.bytes(5, span.name.as_bytes());
    message.number(6, kind);
    message.fixed(7, span.from);
    message.fixed(8, span.to);
    for (key, attribute) in &span.attributes {
        let value = match attribute {
            Attribute::Word(word) => text(word),
            Attribute::Route(route) => text(route),
            Attribute::Number(number) => {
                let mut value = Message::default();
                value.number(3, number.cast_unsigned());
                value
            }
        };
        message.message(9, &key_value(key, &value));
    }
    if span.failed {
        let mut status = Message::default();
        status.number(3, ERROR);
        message.message(15, &status);
    }
    message
}

fn text(value: &str) -> Message {
    let mut message = Message::default();
    message.bytes(1, value.as_bytes());
    message
}

fn key_value(key: &str, value: &Message) -> Message {
    let mut message = Message::default();
    message.bytes(1, key.as_bytes());
    message.message(2, value);
    message
}

impl Message {
    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn fixed(&mut self, field: u64, value: u64) {
        self.varint(field << 3 | 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
