//! Benchmarks of Cloakroom and of what it is compared with.

use std::process::ExitCode;

fn main() -> ExitCode {
    cloakroom_bench::main()
}
