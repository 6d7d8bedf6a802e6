//! The service's face: each method reads its request, calls one function, and answers.

use std::sync::atomic::Ordering;

use proto::olap::v1 as pb;
use tonic::{Request, Response, Status};

use crate::{
    OlapError,
    counting::Culprit,
    materializer::Handle,
    rebuild::{self, Rebuild, RebuildHandle, State},
    store::Difference,
};

pub(crate) struct Materializations {
    pub(crate) handle: Handle,
    pub(crate) rebuilds: RebuildHandle,
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

    async fn start_rebuild(
        &self,
        request: Request<pb::StartRebuildRequest>,
    ) -> Result<Response<pb::StartRebuildResponse>, Status> {
        if !self.handle.written().is_open {
            return Err(OlapError::NotOpen.into());
        }
        let rebuild = self.rebuilds.start(request.into_inner().verify_only).await?;
        Ok(Response::new(pb::StartRebuildResponse { rebuild: Some(to_rebuild(rebuild)) }))
    }

    async fn get_rebuild(
        &self,
        _: Request<pb::GetRebuildRequest>,
    ) -> Result<Response<pb::GetRebuildResponse>, Status> {
        let rebuild = self.rebuilds.newest()?;
        Ok(Response::new(pb::GetRebuildResponse { rebuild: Some(to_rebuild(rebuild)) }))
    }
}

fn to_rebuild(rebuild: Rebuild) -> pb::Rebuild {
    use pb::rebuild::State as Wire;
    let (state, error) = match rebuild.state {
        State::Counting => (Wire::Counting, String::new()),
        State::Comparing => (Wire::Comparing, String::new()),
        State::Tracing => (Wire::Tracing, String::new()),
        State::Swapping => (Wire::Swapping, String::new()),
        State::Done => (Wire::Done, String::new()),
        State::Failed(error) => (Wire::Failed, error),
    };
    let difference = |found: Difference| pb::RowDifference {
        table: found.table.to_owned(),
        key: found.key,
        live: found.live,
        counted: found.counted,
    };
    let counted_source = |(source, total): (&String, &manifest::Counted)| pb::CountedSource {
        source: source.clone(),
        counted_events: rebuild.counted.get(source).map_or(0, |at| at.log_id),
        total_events: total.log_id,
    };
    let event = |culprit: Culprit| pb::DifferingEvent {
        source: culprit.source,
        sequence: culprit.sequence,
        event_id: culprit.event_id.to_string(),
        event_type: culprit.event_type,
        subject: culprit.subject,
    };
    pb::Rebuild {
        rebuild_id: wire(rebuild.id),
        verify_only: rebuild.verify_only,
        state: state.into(),
        counted_events: wire(rebuild::events(&rebuild.counted)),
        total_events: wire(rebuild::events(&rebuild.total)),
        start_time: Some(rpc::to_time(rebuild.started_at)),
        end_time: rebuild.ended_at.map(rpc::to_time),
        compared_version: wire(rebuild.compared_version),
        version: wire(rebuild.version),
        difference_count: wire(rebuild.difference_count),
        differences: rebuild.differences.into_iter().map(difference).collect(),
        first_event: rebuild.first_event.map(event),
        error,
        counted_rows: wire(rebuild.counted_rows),
        compared_rows: wire(rebuild.compared_rows.load(Ordering::Relaxed)),
        total_rows: wire(rebuild.total_rows),
        sources: rebuild.total.iter().map(counted_source).collect(),
    }
}

fn wire(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
