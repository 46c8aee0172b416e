//! Tests of [`super`].

use super::*;

#[test]
fn every_value_of_a_baseline_parses_and_meets_what_it_asks() {
    for baseline in baselines() {
        for item in (baseline.items)() {
            let setting = item.key.setting();
            let value = item
                .sets
                .map_or_else(|| item.key.default_value(), |text| setting.parse(text).expect("parses"));
            assert!(item.accepts.meets(setting, &value), "{} {}", baseline.id, item.key);
        }
        for (key, text) in (baseline.items)()
            .iter()
            .filter_map(|item| item.with)
            .chain(baseline.besides.iter().copied())
        {
            assert!(key.setting().parse(text).is_ok(), "{key} = {text}");
        }
    }
}
