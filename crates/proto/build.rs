//! Compiles `proto/` without protoc: protox parses, tonic-prost-build generates; events get `ProtoJSON` from pbjson.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const ROOT: &str = "../../proto";

/// What is asked over gRPC.
const SERVICES: [&str; 9] = [
    "bramble/auth/v1/options.proto",
    "bramble/log/v1/log.proto",
    "bramble/orders/v1/orders.proto",
    "bramble/inventory/v1/inventory.proto",
    "bramble/billing/v1/billing.proto",
    "bramble/hr/v1/hr.proto",
    "bramble/ledger/v1/ledger.proto",
    "bramble/analytics/v1/analytics.proto",
    "bramble/olap/v1/olap.proto",
];

/// What is published.
const EVENTS: &str = "bramble/events/v1/events.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true).open_files(SERVICES)?;
    compiler.open_file(EVENTS)?;
    // Raw bytes keep the access options, which prost's own types would drop.
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;

    // Events use pbjson's well-known types, so they are generated apart from them.
    let mut events = compiler.file_descriptor_set();
    events.file.retain(|file| {
        matches!(file.package(), "bramble.events.v1" | "bramble.common.v1" | "google.protobuf")
    });
    tonic_prost_build::configure()
        .emit_rerun_if_changed(false)
        .build_client(false)
        .build_server(false)
        .compile_well_known_types(true)
        .extern_path(".google.protobuf", "::pbjson_types")
        .extern_path(".bramble.common.v1", "crate::common::v1")
        .compile_fds(events.clone())?;
    pbjson_build::Builder::new()
        .register_descriptors(&events.encode_to_vec())?
        .ignore_unknown_fields()
        .extern_path(".google.protobuf", "::pbjson_types")
        .build(&[".bramble.events.v1", ".bramble.common.v1"])?;

    // Last: this run writes the file of `bramble.common.v1`, which the one above left empty.
    let mut services = compiler.file_descriptor_set();
    services.file.retain(|file| file.package() != "bramble.events.v1");
    tonic_prost_build::configure().emit_rerun_if_changed(false).compile_fds(services)?;
    Ok(())
}
