//! Tests of [`super`].

use super::*;

const GET: &[u8] = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

/// Passes on what may be passed on, as a connection with so much room does; returns the rest.
fn pass<'a>(framing: &mut Framing, mut waiting: &'a [u8], room: usize) -> &'a [u8] {
    loop {
        match framing.take(waiting, room) {
            0 => return waiting,
            count => waiting = &waiting[count..],
        }
    }
}

#[test]
fn the_next_request_waits_for_the_answer() {
    for room in [1, 7, 1_000] {
        let mut framing = Framing::default();
        let two = [GET, GET].concat();
        assert_eq!(pass(&mut framing, &two, room), GET);
        assert_eq!(pass(&mut framing, GET, room), GET);
        assert!(!framing.note_written(0), "an answer to nothing");
        assert_eq!(pass(&mut framing, GET, room), GET);
        assert!(framing.note_written(1));
        assert_eq!(pass(&mut framing, GET, room), b"");
    }
}

#[test]
fn an_unfinished_head_passes_one_byte_on() {
    for head in [GET, b"GET /a HTTP/1.1\nHost: x\n\n".as_slice()] {
        let (mut framing, mut waiting) = (Framing::default(), Vec::new());
        for (at, byte) in head.iter().enumerate() {
            waiting.push(*byte);
            let left = pass(&mut framing, &waiting, 1_000).to_vec();
            let is_last = at + 1 == head.len();
            assert_eq!(left.len(), if is_last { 0 } else { at }, "{at}");
            waiting = left;
        }
        assert_eq!(framing.take(b"G", 1_000), 0);
    }
}

#[test]
fn a_head_that_is_too_long_goes_no_further() {
    // Few lines, because the library refuses many.
    let line = format!("X-Long: {}\r\n", "a".repeat(1_000)).into_bytes();
    let lines = [b"GET / HTTP/1.1\r\n".as_slice(), &line.repeat(MAX_HEAD / line.len())].concat();
    for head in [[lines, vec![b'a'; 2_000]].concat(), vec![b'a'; MAX_HEAD + 1]] {
        let (mut framing, mut waiting) = (Framing::default(), Vec::new());
        for bytes in head.chunks(10_000) {
            waiting.extend_from_slice(bytes);
            waiting = pass(&mut framing, &waiting, 20_000).to_vec();
        }
        assert!(framing.is_too_long());
        assert_eq!(waiting.len(), head.len() - 1);
    }
}

#[test]
fn a_body_belongs_to_its_request() {
    let long = b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nab\r\n\rGET";
    let chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\n\r\n\r\r\n0\r\nA: b\r\n\r\nGET";
    for bytes in [long.as_slice(), chunked.as_slice()] {
        for step in [1, 2, 7, bytes.len()] {
            let (mut framing, mut waiting) = (Framing::default(), Vec::new());
            for bytes in bytes.chunks(step) {
                waiting.extend_from_slice(bytes);
                waiting = pass(&mut framing, &waiting, step).to_vec();
            }
            assert_eq!(waiting, b"GET", "{step}");
        }
    }
}

#[test]
fn an_answer_before_the_end_of_the_body_lets_the_next_request_follow() {
    let mut framing = Framing::default();
    let post = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(pass(&mut framing, post, 1_000), b"");
    assert!(framing.is_in_body());
    assert!(!framing.note_written(1), "its body is still coming");
    assert_eq!(framing.take(b"abcGET", 1_000), 3);
    assert_eq!(pass(&mut framing, GET, 1_000), b"");
}

#[test]
fn bytes_that_are_no_request_are_passed_on_unchanged() {
    for bytes in [
        b"\x16\x03\x01\n\n".as_slice(),
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    ] {
        let mut framing = Framing::default();
        assert_eq!(pass(&mut framing, bytes, 1_000), b"");
        assert_eq!(framing.take(b"anything", 1_000), 8);
    }
}
