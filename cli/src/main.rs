//! Starts the operator's command. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    watchkeeper::run()
}
