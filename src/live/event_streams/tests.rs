//! Tests of [`super`].

use super::*;
use futures_util::FutureExt;
use uuid::Uuid;

fn ids(number: u128) -> (SessionId, AccountId) {
    (
        SessionId(Uuid::from_u128(number)),
        AccountId(Uuid::from_u128(number + 100)),
    )
}

fn open(streams: &Arc<EventStreams>, number: u128) -> OpenStream {
    let (session, account) = ids(number);
    streams.open(session, account).expect("there is room")
}

fn woken(stream: &OpenStream) -> Option<(bool, bool)> {
    stream.woken().now_or_never().map(|woken| (woken.policy, woken.close))
}

#[test]
fn a_stream_is_woken_by_what_concerns_it() {
    let streams = Arc::new(EventStreams::default());
    let (one, two) = (open(&streams, 1), open(&streams, 2));
    streams.wake_session(ids(1).0);
    assert_eq!((woken(&one), woken(&two)), (Some((false, false)), None));
    streams.wake_accounts(&HashSet::from([ids(2).1]));
    assert_eq!((woken(&one), woken(&two)), (None, Some((false, false))));
    streams.wake_for_policy();
    streams.wake_session(ids(1).0);
    assert_eq!((woken(&one), woken(&two)), (Some((true, false)), Some((true, false))));
    assert_eq!(woken(&one), None, "several at once wake once");
}

#[test]
fn activity_is_news_only_while_a_session_warns() {
    let streams = Arc::new(EventStreams::default());
    let mut one = open(&streams, 1);
    streams.wake_active(ids(1).0);
    assert_eq!(woken(&one), None);
    one.set_warned(true);
    one.set_warned(true);
    streams.wake_active(ids(1).0);
    assert_eq!(woken(&one), Some((false, false)));
    drop(one);
    let two = open(&streams, 2);
    streams.wake_active(ids(2).0);
    assert_eq!(woken(&two), None);
}

#[test]
fn instants_wake_once_and_an_earlier_one_comes_first() {
    let streams = Arc::new(EventStreams::default());
    let at = Timestamp::from_micros;
    let mut one = open(&streams, 1);
    one.wake_at(at(50), at(0));
    one.wake_at(at(60), at(0));
    one.wake_at(at(20), at(0));
    streams.wake_due(at(19));
    assert_eq!(woken(&one), None);
    streams.wake_due(at(20));
    assert_eq!(woken(&one), Some((false, false)));
    one.wake_at(at(60), at(20));
    streams.wake_due(at(60));
    assert_eq!(woken(&one), Some((false, false)));
    streams.wake_due(at(1000));
    assert_eq!(woken(&one), None);
}

#[test]
fn streams_are_bounded_per_session_and_all_are_closed_at_the_end() {
    let streams = Arc::new(EventStreams::default());
    let mut kept: Vec<OpenStream> = (0..MAX_PER_SESSION).map(|_| open(&streams, 1)).collect();
    assert_eq!(woken(&kept[0]), None);
    kept.push(open(&streams, 1));
    assert_eq!(woken(&kept[0]), Some((false, true)), "the oldest makes room");
    assert_eq!(streams.count(), MAX_PER_SESSION + 1);
    kept.clear();
    assert_eq!(streams.count(), 0);
    assert!(lock(&streams.by_session).is_empty());
    let many: Vec<OpenStream> = (0..MAX_OPEN).map(|number| open(&streams, number as u128)).collect();
    let (session, account) = ids(1);
    assert!(streams.open(session, account).is_none());
    streams.close_all();
    assert!(many.iter().all(|stream| woken(stream) == Some((false, true))));
    drop(many);
    assert!(streams.open(session, account).is_none(), "the server stops");
    assert_eq!(streams.count(), 0);
}

#[test]
fn the_end_of_a_session_is_told_to_its_streams_alone() {
    let streams = Arc::new(EventStreams::default());
    let (one, two) = (open(&streams, 1), open(&streams, 2));
    let mut watched = streams.watched(None);
    watched.sort();
    assert_eq!(watched, [ids(1).0, ids(2).0]);
    assert_eq!(streams.watched(Some(&[ids(2).0, ids(3).0])), [ids(2).0]);
    streams.wake_session(ids(1).0);
    streams.end_session(ids(1).0);
    let told = one.woken().now_or_never();
    assert!(told.is_some_and(|told| told.ended && !told.close), "{told:?}");
    assert_eq!(woken(&two), None);
}

#[test]
fn few_streams_read_at_the_same_time() {
    let streams = EventStreams::default();
    let turns: Vec<_> = (0..MAX_READING)
        .map(|_| streams.reading_turn().now_or_never())
        .collect();
    assert!(turns.iter().all(Option::is_some));
    assert!(streams.reading_turn().now_or_never().is_none());
    drop(turns);
    assert!(streams.reading_turn().now_or_never().is_some());
}
