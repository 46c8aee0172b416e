//! Tests of [`super`].

use super::*;

#[test]
fn the_axis_runs_from_now_to_a_month_and_never_goes_back() {
    assert_eq!((place(0), place(2_592_000), place(i64::MAX)), (LEFT, RIGHT, RIGHT));
    let places: Vec<f64> = TICKS.iter().map(|(secs, _)| place(*secs)).collect();
    // In the narrowest chart (600 px) a label such as "30 days" needs 7 percent of the width.
    assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 7.0), "{places:?}");
}
