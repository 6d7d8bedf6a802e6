//! A migration that is new or changed is built in.

fn main() {
    println!("cargo::rerun-if-changed=../../migrations");
}
