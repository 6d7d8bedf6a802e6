//! What olap-consumer writes, as it counts it itself and as the kernel does.

use std::fs;

use anyhow::Context;
use proto::olap::v1::{
    GetManifestRequest, materializations_service_client::MaterializationsServiceClient,
};

/// Since the process started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk {
    pub(crate) versions: i64,
    /// Bytes of files, as `GetManifest` tells.
    pub(crate) files: i64,
    /// Bytes of pages that the process made dirty: all that it wrote, in whole pages, its log included.
    pub(crate) pages: i64,
}

impl Disk {
    pub(crate) async fn now(
        mut olap: MaterializationsServiceClient<rpc::Client>,
        pid: u32,
    ) -> anyhow::Result<Self> {
        let manifest = olap.get_manifest(GetManifestRequest {}).await?.into_inner();
        let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
        let written = io.lines().find_map(|line| line.strip_prefix("write_bytes: "));
        let pages = written.context("the kernel does not count what is written")?.parse()?;
        Ok(Self { versions: manifest.version, files: manifest.written_bytes, pages })
    }

    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            versions: self.versions - before.versions,
            files: self.files - before.files,
            pages: self.pages - before.pages,
        }
    }
}
