//! How fresh an answer must be, and how long its caller waits for that.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rpc::{Call, Shutdown};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use crate::{
    AnalyticsError,
    domain::MinPosition,
    store::{Folder, Version},
};

/// How long a call may wait for events to be counted.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Kept of a call's time for the query itself, or for our own refusal to arrive: a quarter, and no more than this.
const KEPT_BACK_MAX: Duration = Duration::from_millis(500);

/// Waits for a version that includes that much.
pub(crate) async fn wait_until(
    folder: &Arc<Folder>,
    wanted: &Arc<MinPosition>,
    call: &Times,
) -> Result<(), AnalyticsError> {
    loop {
        let (folder, wanted) = (Arc::clone(folder), Arc::clone(wanted));
        match spawn_blocking(move || including(&folder, &wanted)).await? {
            Err(AnalyticsError::NotFreshEnough(_)) if call.is_patient() => (),
            looked => return looked.map(drop),
        }
        tokio::select! {
            () = sleep_until(call.patient_until.min(Instant::now() + LOOK_EVERY)) => (),
            () = call.stopping.cancelled() => (),
        }
    }
}

/// The live version, if it includes that much.
pub(crate) fn including(
    folder: &Folder,
    wanted: &MinPosition,
) -> Result<Arc<Version>, AnalyticsError> {
    let live = folder.live()?;
    let missing = match &live {
        Some(version) => wanted.missing(&version.manifest.positions),
        None => wanted.missing(&BTreeMap::new()),
    };
    if !missing.is_empty() {
        return Err(AnalyticsError::NotFreshEnough(missing));
    }
    live.ok_or(AnalyticsError::NotMaterializedYet)
}

/// Until when the call that is being served waits for what.
pub(crate) struct Times {
    pub(crate) deadline: Instant,
    pub(crate) patient_until: Instant,
    stopping: Shutdown,
}

impl Times {
    pub(crate) fn of_call() -> Self {
        let (now, call) = (Instant::now(), Call::current());
        let deadline = call.as_ref().map_or(now + WAIT_MAX, Call::deadline);
        let left = deadline.saturating_duration_since(now);
        let patience = left.saturating_sub((left / 4).min(KEPT_BACK_MAX)).min(WAIT_MAX);
        let stopping = call.map_or_else(Shutdown::new, |call| call.stopping());
        Self { deadline, patient_until: now + patience, stopping }
    }

    fn is_patient(&self) -> bool {
        Instant::now() < self.patient_until && !self.stopping.is_cancelled()
    }
}
