//! The one answer that grows with the whole server: Azkaban lists the schedules of all projects or none. It is read as it comes,
//! and only what is asked for is kept.

use std::io::{self, BufReader};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use reqwest::Response;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::answer::{Answer, schedule};
use super::error::{ClientError, Result};
use super::types::Schedule;
use super::wire::Begun;
use super::{Client, session};
use crate::name::{ProjectName, fold};

const CALL: &str = "fetchSchedules";

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
        for _ in 0..2 {
            let slot = session::take(&self.pool).await?;
            let query = [("ajax", CALL), ("session.id", slot.id())];
            match self.wire.begin(CALL, self.wire.get("/schedule", &query)).await? {
                Begun::Whole(answer) => {
                    if !session::judge(&self.pool, slot, &answer) {
                        answer.refuse_page(CALL)?;
                        return schedule::list(&answer.body[..], wanted);
                    }
                }
                Begun::Large(head, rest) => {
                    // an answer without a session is a short one
                    session::judge(&self.pool, slot, &head);
                    head.refuse_page(CALL)?;
                    return read_on(head, rest, wanted).await;
                }
            }
        }
        Err(ClientError::SessionLost { call: CALL })
    }
}

async fn read_on(
    head: Answer,
    rest: Response,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Vec<Schedule>> {
    let head = stream::iter([Ok::<Bytes, io::Error>(head.body)]);
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
