//! The one answer that grows with the whole server: Azkaban lists the schedules of all projects or none. It is read as it comes,
//! and only what is asked for is kept.

use std::io::{self, BufReader};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Response;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::Client;
use super::answer::schedule;
use super::error::{ClientError, Result};
use super::types::Schedule;
use crate::name::{ProjectName, fold};

const CALL: &str = "fetchSchedules";
/// So much of the answer is looked at before it is read as it comes; every error of Azkaban's is shorter.
const HEAD: usize = 64 << 10;

impl Client {
    /// The schedules of all projects of the server.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn schedules(&self) -> Result<Vec<Schedule>> {
        self.listed_schedules(None).await
    }

    /// The schedules of one project.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn schedules_of(&self, project: &ProjectName) -> Result<Vec<Schedule>> {
        self.listed_schedules(Some(project.key())).await
    }

    async fn listed_schedules(&self, project: Option<String>) -> Result<Vec<Schedule>> {
        let wanted = move |name: &str| project.as_ref().is_none_or(|project| fold(name) == *project);
        let (head, rest) = self
            .begin_with_session(CALL, HEAD, |wire, session| {
                wire.get("/schedule", &[("ajax", CALL), ("session.id", session)])
            })
            .await?;
        head.refuse_page(CALL)?;
        match rest {
            None => schedule::list(&head.body[..], wanted),
            Some(rest) => read_on(head.body, rest, wanted).await,
        }
    }
}

async fn read_on(
    head: Bytes,
    rest: Response,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<Schedule>> {
    let head = stream::iter([Ok::<Bytes, io::Error>(head)]);
    let all = head.chain(
        rest.bytes_stream()
            .map_err(|error| io::Error::other(super::text_of(&error))),
    );
    let reader = SyncIoBridge::new(StreamReader::new(Box::pin(all)));
    let read = tokio::task::spawn_blocking(move || schedule::list(BufReader::new(reader), wanted));
    read.await.map_err(|error| ClientError::Broken {
        call: CALL,
        reason: error.to_string(),
    })?
}
