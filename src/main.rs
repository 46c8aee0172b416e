//! Parses the command line, runs the command, prints the error in one line, sets the exit code.

fn main() -> std::process::ExitCode {
    nightlatch::cli::main()
}
