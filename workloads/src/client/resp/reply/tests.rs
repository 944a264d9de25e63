//! Replies, whole and in pieces, and whatever is none.

use super::*;

const SMALL: ReplyLimits = ReplyLimits { line: 64, bytes: 256, elements: 8, depth: 3 };

fn read(bytes: &[u8]) -> Result<Option<Reply>, FramingProblem> {
    let mut reader = ReplyReader::with_limits(SMALL);
    reader.buffer().extend_from_slice(bytes);
    reader.next_reply().map_err(|error| error.problem)
}

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(Bytes::from_static(text.as_bytes()))
}

#[test]
fn every_type_is_read() {
    let wanted: [(&[u8], Reply); 9] = [
        (b"+OK\r\n", Reply::Simple(Bytes::from_static(b"OK"))),
        (b"-ERR no\r\n", Reply::Error(Bytes::from_static(b"ERR no"))),
        (b":-7\r\n", Reply::Integer(-7)),
        (b":+7\r\n", Reply::Integer(7)),
        (b"$4\r\na\r\nb\r\n", bulk("a\r\nb")),
        (b"$0\r\n\r\n", bulk("")),
        (b"$-1\r\n", Reply::Null),
        (b"*-1\r\n", Reply::NullArray),
        (
            b"*3\r\n*0\r\n*1\r\n$1\r\nx\r\n:1\r\n",
            Reply::Array(vec![
                Reply::Array(Vec::new()),
                Reply::Array(vec![bulk("x")]),
                Reply::Integer(1),
            ]),
        ),
    ];
    for (bytes, reply) in wanted {
        assert_eq!(read(bytes), Ok(Some(reply)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn what_comes_in_pieces_is_read_as_what_comes_at_once() {
    let bytes = b"*2\r\n$5\r\nhello\r\n*2\r\n:1\r\n+x\r\n";
    let mut reader = ReplyReader::with_limits(SMALL);
    let mut found = None;
    for byte in bytes {
        assert_eq!(found, None);
        reader.buffer().extend_from_slice(&[*byte]);
        found = reader.next_reply().expect("well-formed");
    }
    assert_eq!(found, read(bytes).expect("well-formed"));
    assert_eq!(reader.surplus(), b"");
}

#[test]
fn one_reply_is_read_at_a_time_and_limits_begin_anew_with_each() {
    let mut reader = ReplyReader::with_limits(SMALL);
    for _ in 0..100 {
        reader.buffer().extend_from_slice(b"*2\r\n:1\r\n:2\r\n");
    }
    for left in (0..100).rev() {
        assert!(matches!(reader.next_reply(), Ok(Some(Reply::Array(_)))));
        assert_eq!(reader.surplus().len(), left * 12);
    }
    assert_eq!(reader.next_reply(), Ok(None));
}

#[test]
fn whatever_is_no_resp_is_refused() {
    let cases: [(&[u8], FramingProblem); 16] = [
        (b"_\r\n", FramingProblem::UnknownType),
        (b">2\r\n", FramingProblem::UnknownType),
        (b"\r\n", FramingProblem::UnknownType),
        (b"\0", FramingProblem::UnknownType),
        (b"+OK\n", FramingProblem::LineEnd),
        (b"+O\rK\r\n", FramingProblem::LineEnd),
        (b":\r\n", FramingProblem::Number),
        (b":1 \r\n", FramingProblem::Number),
        (b":0x1\r\n", FramingProblem::Number),
        (b":9223372036854775808\r\n", FramingProblem::Number),
        (b"$-2\r\n", FramingProblem::Number),
        (b"$+2\r\nab\r\n", FramingProblem::Number),
        (b"$\r\n", FramingProblem::Number),
        (b"*-5\r\n", FramingProblem::Number),
        (b"$2\r\nabc\r\n", FramingProblem::BulkEnd),
        (b"$2\r\nab\n\n", FramingProblem::BulkEnd),
    ];
    for (bytes, problem) in cases {
        assert_eq!(read(bytes), Err(problem), "{}", bytes.escape_ascii());
    }
}

#[test]
fn limits_hold_before_what_is_announced_has_come() {
    assert_eq!(read(b"$9223372036854775807\r\n"), Err(FramingProblem::ByteLimit));
    assert_eq!(read(b"$99999999999999999999999\r\n"), Err(FramingProblem::Number));
    assert_eq!(read(b"$257\r\n"), Err(FramingProblem::ByteLimit));
    assert_eq!(read(b"*9\r\n"), Err(FramingProblem::ElementLimit));
    assert_eq!(read(b"*4\r\n*4\r\n*4\r\n"), Err(FramingProblem::ElementLimit));
    assert_eq!(read(&[b"+".as_slice(), &[b'z'; 64]].concat()), Err(FramingProblem::LineLimit));
    let bulk_strings = b"*8\r\n".iter().chain(b"$50\r\n").chain(&[b'z'; 50]).chain(b"\r\n");
    let long: Vec<u8> = bulk_strings.copied().collect();
    let next = [b"$50\r\n".as_slice(), &[b'z'; 50], b"\r\n"].concat();
    assert_eq!(read(&[long, next.repeat(7)].concat()), Err(FramingProblem::ByteLimit));
}

#[test]
fn arrays_inside_each_other_end_at_the_limit_however_many_there_are() {
    assert!(matches!(read(b"*1\r\n*1\r\n*1\r\n:1\r\n"), Ok(Some(_))));
    assert_eq!(read(&b"*1\r\n".repeat(4)), Err(FramingProblem::DepthLimit));
    let mut reader = ReplyReader::default();
    reader.buffer().extend_from_slice(&b"*1\r\n".repeat(2_000_000));
    let error = reader.next_reply().expect_err("deep");
    assert_eq!(error.problem, FramingProblem::DepthLimit);
}

#[test]
fn a_sample_is_short_and_shows_no_control_character() {
    let text = [b"\x1b[31m\xff".as_slice(), &[b'x'; 1_000]].concat();
    let shown = sample(&text);
    assert!(shown.starts_with(r"\x1b[31m\xffxx") && shown.ends_with("x…"), "{shown}");
    assert!(shown.chars().count() < 80, "{shown}");
}
