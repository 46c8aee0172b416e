//! Flows where no page shows the whole of them, on both databases.

mod preview;
mod replay;
mod retention;
mod seals;
