//! YAML files of the repository, read as lists of values with their paths.

use saphyr_parser::{Event, Parser};
use std::{fs, path::Path};

/// Returns every value of a file of the repository with its path: `http.routers.login.rule = …`.
pub fn values(file: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    // Names from the outermost; nothing for a list item; the last may wait for its value.
    let (mut levels, mut found): (Vec<Option<Option<String>>>, Vec<_>) = (Vec::new(), Vec::new());
    for event in Parser::new_from_str(&text) {
        let (event, span) = event.unwrap_or_else(|error| panic!("{file}: {error}"));
        let ended = match event {
            Event::MappingStart(..) => {
                levels.push(Some(None));
                false
            }
            Event::SequenceStart(..) => {
                levels.push(None);
                false
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
                true
            }
            Event::Scalar(text, ..) => match levels.last_mut() {
                Some(Some(name @ None)) => {
                    *name = Some(text.into_owned());
                    false
                }
                _ => {
                    let names: Vec<&str> = levels.iter().flatten().flatten().map(String::as_str).collect();
                    found.push((names.join("."), text.into_owned()));
                    true
                }
            },
            Event::Alias(_) => true,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                false
            }
        };
        if ended && let Some(Some(name)) = levels.last_mut() {
            assert!(name.is_some(), "{file}:{}: a value without a name", span.start.line());
            *name = None;
        }
    }
    assert!(levels.is_empty(), "{file} ends in the middle");
    found
}

/// All values whose names end like this.
pub fn values_of<'a>(values: &'a [(String, String)], end: &str) -> Vec<&'a str> {
    let fitting = values.iter().filter(|(name, _)| name.ends_with(end));
    fitting.map(|(_, value)| value.as_str()).collect()
}
