//! The order of turns, and what is left for the next writer.

use super::*;
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn turns_follow_the_order_of_arrival() {
    let (gate, order) = (WriteGate::<()>::default(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        let (turn, _) = gate.wait_for_turn(LONG).unwrap();
        for number in 0..20 {
            let (gate, order) = (&gate, &order);
            scope.spawn(move || {
                let (_turn, _) = gate.wait_for_turn(LONG).unwrap();
                order.lock().push(number);
            });
            gate.await_waiting(number + 1);
        }
        drop(turn);
    });
    assert_eq!(order.into_inner(), (0..20).collect::<Vec<_>>());
}

#[test]
fn what_is_left_goes_to_the_next_writer_or_stays() {
    let gate = WriteGate::<&str>::default();
    let (turn, left) = gate.wait_for_turn(LONG).unwrap();
    assert_eq!(left, None);
    let Err((turn, left)) = turn.leave("nobody waits") else {
        panic!("somebody took it")
    };
    assert_eq!(left, "nobody waits");
    thread::scope(|scope| {
        let next = scope.spawn(|| gate.wait_for_turn(LONG).map(|(_, left)| left));
        gate.await_waiting(1);
        assert!(turn.leave("for the next").is_ok());
        assert_eq!(next.join().unwrap(), Ok(Some("for the next")));
    });
    let (_turn, left) = gate.wait_for_turn(LONG).unwrap();
    assert_eq!(left, None, "the next one's turn has ended");
}

#[test]
fn a_writer_that_stops_waiting_is_passed_over() {
    let gate = WriteGate::<&str>::default();
    let (turn, _) = gate.wait_for_turn(LONG).unwrap();
    let gone = gate.wait_for_turn(Duration::from_millis(1)).map(|_| ());
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
    thread::scope(|scope| {
        let next = scope.spawn(|| gate.wait_for_turn(LONG).map(|(_, left)| left));
        gate.await_waiting(2);
        assert!(turn.leave("kept").is_ok());
        assert_eq!(next.join().unwrap(), Ok(Some("kept")));
    });
}

/// Writers that stop waiting at every moment of the handover.
#[test]
fn nothing_that_is_left_is_lost() {
    let gate = WriteGate::<usize>::default();
    let (turns, ended) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for thread in 0..8_u64 {
            let (gate, turns, ended) = (&gate, &turns, &ended);
            scope.spawn(move || {
                for attempt in 0..500 {
                    let Ok((turn, left)) = gate.wait_for_turn(Duration::from_micros((attempt + thread) % 40)) else {
                        continue;
                    };
                    turns.fetch_add(1, Ordering::Relaxed);
                    if let Err((_turn, left)) = turn.leave(left.unwrap_or(0) + 1) {
                        ended.fetch_add(left, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    assert_eq!(ended.into_inner(), turns.into_inner());
    assert!(gate.wait_for_turn(Duration::ZERO).is_ok(), "the last turn has ended");
}
