//! Circles of imports among the files of a layer.

use super::{imports::Imports, source};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The number of files in circles per layer. Numbers may only shrink.
const KNOWN: &[(&str, usize)] = &[];

/// Which files each file names, within its layer.
struct LayerGraph {
    names: Vec<String>,
    edges: Vec<BTreeSet<usize>>,
}

impl LayerGraph {
    fn read() -> Self {
        let files = source::files();
        let imports = Imports::of(files);
        let edges = (0..files.len()).map(|index| {
            let mut named = imports.named_files(index);
            named.retain(|other| files[*other].layer() == files[index].layer());
            named
        });
        Self {
            edges: edges.collect(),
            names: files.iter().map(|file| file.name.clone()).collect(),
        }
    }

    /// Returns the shortest circle from a file back to itself, if there is one.
    fn circle(&self, start: usize) -> Option<Vec<usize>> {
        let mut came_from = vec![None; self.edges.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(file) = queue.pop_front() {
            for next in &self.edges[file] {
                if *next == start {
                    let mut way = vec![file];
                    while let Some(before) = came_from[way[way.len() - 1]] {
                        way.push(before);
                    }
                    way.reverse();
                    return Some(way);
                }
                if came_from[*next].is_none() {
                    came_from[*next] = Some(file);
                    queue.push_back(*next);
                }
            }
        }
        None
    }

    fn reachable(&self, start: usize) -> BTreeSet<usize> {
        let (mut found, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(file) = open.pop() {
            for next in &self.edges[file] {
                if found.insert(*next) {
                    open.push(*next);
                }
            }
        }
        found
    }

    /// Groups of files that all lead to one another.
    fn knots(&self) -> Vec<BTreeSet<usize>> {
        let reachable: Vec<_> = (0..self.edges.len()).map(|file| self.reachable(file)).collect();
        let mut knots: Vec<BTreeSet<usize>> = Vec::new();
        for file in (0..self.edges.len()).filter(|file| reachable[*file].contains(file)) {
            if !knots.iter().any(|knot| knot.contains(&file)) {
                let knot = reachable[file]
                    .iter()
                    .filter(|other| reachable[**other].contains(&file));
                knots.push(knot.copied().collect());
            }
        }
        knots
    }

    fn describe(&self, files: impl IntoIterator<Item = usize>, between: &str) -> String {
        let names: Vec<&str> = files.into_iter().map(|file| self.names[file].as_str()).collect();
        names.join(between)
    }
}

#[test]
fn no_circle_of_imports_among_the_files_of_a_layer() {
    let graph = LayerGraph::read();
    let mut circles: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for knot in graph.knots() {
        let ways = knot.iter().filter_map(|file| graph.circle(*file));
        let way = ways.min_by_key(Vec::len).unwrap();
        let back = way[0];
        let (files, text) = circles.entry(source::files()[back].layer()).or_default();
        *files += knot.len();
        text.push_str(&format!(
            "shortest circle: {}\n  all files of the knot: {}\n",
            graph.describe(way.into_iter().chain([back]), " → "),
            graph.describe(knot, ", ")
        ));
    }
    let known = |layer: &str| {
        KNOWN
            .iter()
            .find(|(name, _)| *name == layer)
            .map_or(0, |(_, files)| *files)
    };
    circles.retain(|layer, (files, _)| *files > known(layer));
    let found: Vec<String> = circles
        .into_iter()
        .map(|(layer, (files, text))| format!("{layer}: {files} files in circles, {} known\n{text}", known(layer)))
        .collect();
    assert!(found.is_empty(), "files that import each other:\n{}", found.join("\n"));
}
