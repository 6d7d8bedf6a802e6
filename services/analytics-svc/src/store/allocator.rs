//! DuckDB brings an allocator of its own, which keeps much of what was freed, for each thread that ever asked. Told to give it back at
//! once it holds 20 MiB less after large answers, and answers as fast.

use std::{env, os::unix::process::CommandExt, process::Command};

const SETTING: &str = "DUCKDB_JE_MALLOC_CONF";
const FRUGAL: &str = "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0";

/// Has DuckDB give memory back. Call it first in `main`: the allocator has read its settings by then, so the process replaces itself, once.
pub fn spare_memory() {
    if env::var_os(SETTING).is_some() {
        return;
    }
    let Ok(program) = env::current_exe() else { return };
    // It comes back only if it failed; then there is more in use, and nothing else is amiss.
    let _ = Command::new(program).args(env::args_os().skip(1)).env(SETTING, FRUGAL).exec();
}
