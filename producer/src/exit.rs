//! Why a command ends, as exit codes and one sentence each.

use std::path::PathBuf;

use flowlift_azkaban::client::{ClientError, ErrorClass};
use flowlift_common::amqp::AmqpError;
use flowlift_common::config::SettingsError;

use crate::check::Findings;

/// The exit codes; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// Finished, but the answer is no: dead letters, differences.
    No = 1,
    /// The command line cannot be understood.
    Usage = 64,
    /// The input has mistakes.
    BadInput = 65,
    /// There is no such input.
    NoInput = 66,
    /// RabbitMQ or Azkaban cannot be reached.
    Unreachable = 69,
    /// A bug of this program.
    Bug = 70,
    /// Reading or writing a file failed.
    Io = 74,
    /// The time given is over; the run goes on.
    TimedOut = 75,
    /// Login, rights or owner.
    Access = 77,
    /// Settings, topology, target, or a broker that is too old.
    Settings = 78,
    /// Interrupted.
    Interrupted = 130,
}

/// What went wrong; the text is what a person reads.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Finished, but the answer is no; everything was said already.
    #[error("")]
    No,
    /// The command line asks for something that does not go together.
    #[error("{0}")]
    Usage(String),
    /// Mistakes in the input.
    #[error("{0}")]
    BadInput(Findings),
    /// Mistakes that were told already, and what becomes of the rest.
    #[error("{0}")]
    Left(String),
    /// Nothing there.
    #[error("{0}")]
    NoInput(String),
    /// RabbitMQ.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
    /// Azkaban.
    #[error(transparent)]
    Azkaban(#[from] ClientError),
    /// The answer is no, with a reason.
    #[error("{0}")]
    Answer(String),
    /// The settings.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A question that nobody agreed to.
    #[error("{0}")]
    NotAgreed(String),
    /// A target that is protected, and that was not named as the one that is meant.
    #[error("{0}")]
    Protected(String),
    /// A file.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// The time is over.
    #[error("{0}")]
    TimedOut(String),
    /// A signal.
    #[error("{0}")]
    Interrupted(String),
    /// Should not happen.
    #[error("{0}; this is a bug of flowlift")]
    Bug(String),
}

impl Failure {
    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::No | Self::Answer(_) => Exit::No,
            Self::Usage(_) | Self::NotAgreed(_) => Exit::Usage,
            Self::BadInput(_) | Self::Left(_) => Exit::BadInput,
            Self::NoInput(_) => Exit::NoInput,
            Self::Amqp(error) => match error.exit_code() {
                69 => Exit::Unreachable,
                77 => Exit::Access,
                _ => Exit::Settings,
            },
            Self::Azkaban(error) => of_azkaban(error),
            Self::Settings(_) | Self::Protected(_) => Exit::Settings,
            Self::Io { .. } => Exit::Io,
            Self::TimedOut(_) => Exit::TimedOut,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Bug(_) => Exit::Bug,
        }
    }
}

fn of_azkaban(error: &ClientError) -> Exit {
    match (error.class(), error) {
        (_, ClientError::ProjectMissing { .. } | ClientError::FlowMissing { .. }) => Exit::NoInput,
        (_, ClientError::Setup(_)) => Exit::Settings,
        (ErrorClass::Login, _) => Exit::Access,
        (_, ClientError::Denied { .. } | ClientError::Lockdown { .. }) => Exit::Access,
        (ErrorClass::Transient, _) => Exit::Unreachable,
        _ => Exit::No,
    }
}

/// How writing to standard output ended. Somebody who reads no further (`| head`) has seen enough: no failure.
pub fn printed(written: std::io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(source) if source.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::Io {
            path: "standard output".into(),
            source,
        }),
        _ => Ok(()),
    }
}
