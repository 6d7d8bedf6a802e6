use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{ERROR_DOMAIN, Shutdown};

tokio::task_local! {
    static CURRENT: Call;
}

/// Who calls, until when an answer is of use, and which trace the call is part of. The layer sets it for each handler.
#[derive(Debug, Clone)]
pub struct Call {
    /// The subject of the caller's token; `anonymous` without one.
    pub actor: Arc<str>,
    pub(crate) permissions: Permissions,
    pub(crate) deadline: Instant,
    /// As it came, so that it is passed on even when this fleet sends no traces itself.
    pub(crate) traceparent: Option<Arc<str>>,
    pub(crate) stopping: Shutdown,
}

#[derive(Debug, Clone)]
pub(crate) enum Permissions {
    /// A caller without a token where the doors are open.
    AllButRestricted,
    All,
    Only(Arc<BTreeSet<String>>),
}

impl Call {
    /// The call that this task serves; none in background tasks.
    #[must_use]
    pub fn current() -> Option<Self> {
        CURRENT.try_with(Clone::clone).ok()
    }

    /// When nobody waits for the answer any more.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The trace to go on with: this process's span, or else the caller's.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        telemetry::traceparent().or_else(|| self.traceparent.as_deref().map(str::to_owned))
    }

    /// Told when the process is to end: a streamed answer that has no end of its own must end then.
    #[must_use]
    pub fn stopping(&self) -> Shutdown {
        self.stopping.clone()
    }

    pub(crate) async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }

    pub(crate) fn may(&self, permission: &str) -> bool {
        self.permissions.have(permission)
    }

    pub(crate) fn require(&self, permission: &str) -> Result<(), Status> {
        self.permissions.require(permission, &self.actor)
    }
}

impl Permissions {
    fn have(&self, permission: &str) -> bool {
        match self {
            Self::All => true,
            Self::AllButRestricted => !crate::RESTRICTED.contains(&permission),
            Self::Only(held) => held.contains(permission),
        }
    }

    pub(crate) fn require(&self, permission: &str, actor: &str) -> Result<(), Status> {
        if self.have(permission) {
            return Ok(());
        }
        let metadata = HashMap::from([("permission".to_owned(), permission.to_owned())]);
        Err(Status::with_error_details(
            Code::PermissionDenied,
            format!("{actor} lacks the permission {permission}"),
            ErrorDetails::with_error_info("PERMISSION_MISSING", ERROR_DOMAIN, metadata),
        ))
    }
}

/// Whether the caller holds a permission beyond the method's own.
#[must_use]
pub fn may(permission: &str) -> bool {
    Call::current().is_some_and(|call| call.may(permission))
}

/// Refuses a caller without a permission beyond the method's own.
pub fn require(permission: &str) -> Result<(), Status> {
    match Call::current() {
        Some(call) => call.require(permission),
        None => Err(Status::internal("no call is being served here")),
    }
}
