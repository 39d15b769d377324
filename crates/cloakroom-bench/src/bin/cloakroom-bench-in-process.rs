//! The benchmark of the verifier inside a process. A binary of its own, because its allocator counts: in the servers that
//! would cost what is to be measured.

use std::{alloc::System, process::ExitCode};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn main() -> ExitCode {
    cloakroom_bench::in_process_main(|| {
        let stats = ALLOCATOR.stats();
        stats.allocations + stats.reallocations
    })
}
