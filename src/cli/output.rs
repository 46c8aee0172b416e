//! The output of commands: tables for people, JSON for scripts, notes on standard error. Names and
//! user agents come from strangers, so control sequences in them never reach the terminal.

mod format;
mod list;
mod stream;
mod table;

pub use format::{escape_text, format_count, format_time, format_time_or_dash, text_or_dash, time_to_json};
pub use list::{JsonArray, ListPrinter};
pub use stream::{StandardOutput, init_warning_log, print_json, print_line, print_message, print_warning};
pub use table::Table;
