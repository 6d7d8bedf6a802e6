//! Tells the binary and its tests where DuckDB's library is: no build of DuckDB, and no `LD_LIBRARY_PATH`.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DUCKDB_LIB_DIR");
    // In an image: bin/analytics-svc beside lib/libduckdb.so.
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../lib");
    if let Ok(folder) = env::var("DUCKDB_LIB_DIR") {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{folder}");
    }
}
