//! The service's face: each method reads its request, calls one function, and answers.

use proto::olap::v1 as pb;
use tonic::{Request, Response, Status};

use crate::{OlapError, materializer::Handle};

pub(crate) struct Materializations {
    pub(crate) handle: Handle,
}

#[tonic::async_trait]
impl pb::materializations_service_server::MaterializationsService for Materializations {
    async fn get_manifest(
        &self,
        _: Request<pb::GetManifestRequest>,
    ) -> Result<Response<pb::GetManifestResponse>, Status> {
        let written = self.handle.written();
        if !written.is_open {
            return Err(OlapError::NotOpen.into());
        }
        let mut answer =
            pb::GetManifestResponse { written_bytes: wire(written.bytes), ..Default::default() };
        if let Some(manifest) = written.manifest {
            let file = |file: &manifest::Materialized| pb::MaterializedFile {
                table: file.table.clone(),
                path: file.path.clone(),
                row_count: wire(file.row_count),
                size_bytes: wire(file.size_bytes),
            };
            let position = |(source, counted): (&String, &manifest::Counted)| pb::CountedPosition {
                source: source.clone(),
                sequence: counted.log_id,
            };
            answer.version = wire(manifest.version);
            answer.write_time = Some(rpc::to_time(manifest.written_at));
            answer.files = manifest.files.iter().map(file).collect();
            answer.positions = manifest.positions.iter().map(position).collect();
        }
        Ok(Response::new(answer))
    }

    async fn flush(
        &self,
        _: Request<pb::FlushRequest>,
    ) -> Result<Response<pb::FlushResponse>, Status> {
        let version = self.handle.flush().await?;
        Ok(Response::new(pb::FlushResponse { version: wire(version) }))
    }
}

fn wire(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
