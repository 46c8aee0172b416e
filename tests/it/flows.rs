//! Flows where no page shows the whole of them, on both databases.

mod decoys;
mod end_causes;
mod factors;
mod preview;
mod replay;
mod retention;
mod seals;
mod sources;
mod watching;
