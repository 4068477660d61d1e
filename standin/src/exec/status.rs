//! How far a job or a flow has come.

use serde::{Deserialize, Serialize};

/// A status, by the names Azkaban tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Status {
    Ready,
    Preparing,
    Running,
    Paused,
    Succeeded,
    Killing,
    Killed,
    Failed,
    FailedFinishing,
    Skipped,
    Disabled,
    Queued,
    FailedSucceeded,
    Cancelled,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ready => "READY",
            Self::Preparing => "PREPARING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Succeeded => "SUCCEEDED",
            Self::Killing => "KILLING",
            Self::Killed => "KILLED",
            Self::Failed => "FAILED",
            Self::FailedFinishing => "FAILED_FINISHING",
            Self::Skipped => "SKIPPED",
            Self::Disabled => "DISABLED",
            Self::Queued => "QUEUED",
            Self::FailedSucceeded => "FAILED_SUCCEEDED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Nothing more will become of it.
    pub(crate) fn is_finished(self) -> bool {
        matches!(
            self,
            Self::Failed
                | Self::Killed
                | Self::Succeeded
                | Self::Skipped
                | Self::FailedSucceeded
                | Self::Cancelled
        )
    }

    /// It was started.
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::FailedFinishing | Self::Queued)
    }

    /// What depends on its success will not run.
    pub(crate) fn is_failed(self) -> bool {
        matches!(self, Self::Failed | Self::Killed | Self::Cancelled)
    }

    pub(crate) fn is_succeeded(self) -> bool {
        matches!(self, Self::Succeeded | Self::FailedSucceeded | Self::Skipped)
    }
}
