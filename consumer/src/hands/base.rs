//! Reads what a project holds, creates it, looks whether an upload landed.

use std::collections::BTreeSet;
use std::sync::Arc;

use flowlift_azkaban::archive;
use flowlift_azkaban::client::{ClientError, Download, LogEntry, uploaded_file};
use flowlift_common::envelope::MAX_BYTES;
use tokio::sync::OwnedSemaphorePermit;

use super::Hands;
use crate::base::{Base, BaseError, Finding, Need, PAGE, Reading, Told, Version};
use crate::held::CHANGE_BYTES;
use crate::project::{BaseFacts, Event, Landing, Trouble};
use crate::work::{BaseInHand, Known, ms_since};

/// Files and changes that may be unpacked at the same time: a flow of one job needs some 3 kB while it is planned.
pub const DESKS: u32 = 40_000;
/// However small the projects are, they are work for the cores: at most four at once.
const DESK_LEAST: u32 = DESKS / 4;

/// How many lines of the project log are read to find an upload that should be near its top.
const LOG_LINES: usize = 500;

impl Hands {
    /// Reads the base: what counts of the project's versions, compared with what Azkaban lists.
    ///
    /// `waiting`: so many changes wait to be planned on it.
    pub async fn read_base(&self, waiting: u64) -> Event {
        // one that was never planned on would keep its desk
        self.work().base = None;
        Event::Base(match self.find_base(waiting).await {
            Ok(found) => {
                let facts = BaseFacts {
                    exists: found.exists,
                    flows: found.base.loaded.flows.len(),
                };
                self.work().base = Some(found);
                Ok(facts)
            }
            Err(Trouble::ProjectMissing) => {
                let desk = self.desk(waiting).await;
                self.work().base = Some(nothing(false, desk));
                Err(Trouble::ProjectMissing)
            }
            Err(trouble) => Err(trouble),
        })
    }

    async fn find_base(&self, waiting: u64) -> Result<BaseInHand, Trouble> {
        let Some(latest) = self.download(None).await? else {
            return Ok(nothing(true, self.desk(waiting).await));
        };
        // not before the answer is here: a slow Azkaban must not keep others from unpacking
        let files = archive::count(&latest.zip).try_into().unwrap_or(u64::MAX);
        let large = (latest.zip.len() as u64).saturating_sub(MAX_BYTES as u64) / CHANGE_BYTES;
        let desk = self
            .desk(waiting.saturating_add(files).saturating_add(large))
            .await;
        let highest = latest.version;
        let told = self.read_versions(latest).await?;
        let listed = self.listed().await?;
        self.found(&told.findings);
        let mut base = told.base;
        base.compare(listed).map_err(Trouble::Later)?;
        Ok(BaseInHand {
            base: Arc::new(base),
            exists: true,
            highest,
            desk,
        })
    }

    /// A place to unpack and plan at, also for a project without content: what comes into it can be as large.
    /// One larger than all desks together has them for itself.
    async fn desk(&self, size: u64) -> Option<Arc<OwnedSemaphorePermit>> {
        let size = u32::try_from(size).unwrap_or(u32::MAX).clamp(DESK_LEAST, DESKS);
        // nobody closes the semaphore
        let desk = Arc::clone(&self.desks).acquire_many_owned(size).await;
        desk.ok().map(Arc::new)
    }

    async fn read_versions(&self, latest: Download) -> Result<Told, Trouble> {
        let newest = Known {
            project: latest.project_id,
            version: latest.version,
            attempt: latest.file_name.clone(),
        };
        let known = self.work().known.as_ref() == Some(&newest);
        let latest = self.unpack(latest).await?;
        let Some(latest) = latest else {
            return Err(Trouble::Own("its newest zip cannot be read".into()));
        };
        let mut reading = Reading::begin(latest, known, self.client.user());
        loop {
            match reading.need() {
                Need::Nothing => break,
                Need::Log { skip } => reading.log(self.log(PAGE, skip).await?),
                Need::Version(number) => match self.client.download(&self.project, Some(number)).await {
                    Ok(Some(found)) => reading.version(self.unpack(found).await?),
                    Ok(None) => reading.version(None),
                    Err(ClientError::VersionPurged { .. }) => reading.no_older(),
                    Err(error) => return Err(self.trouble(&error)),
                },
                Need::Flows => reading.flows(self.listed().await?),
                Need::Job { flow, job } => {
                    let params = match self.client.job_info(&self.project, &flow, &job).await {
                        Ok(info) => Some(info.params),
                        Err(ClientError::FlowMissing { .. } | ClientError::JobMissing { .. }) => None,
                        Err(error) => return Err(self.trouble(&error)),
                    };
                    reading.job(&flow, &job, params.as_ref());
                }
            }
        }
        let told = tokio::task::spawn_blocking(move || reading.finish()).await;
        told.map_err(|error| Trouble::Later(error.to_string()))?
            .map_err(|error| match error {
                BaseError::Merge(_) => Trouble::Own(error.to_string()),
                _ => Trouble::Later(error.to_string()),
            })
    }

    /// Reads a zip; `None` where it is none that Azkaban could have unpacked.
    async fn unpack(&self, download: Download) -> Result<Option<Version>, Trouble> {
        let Download {
            version,
            file_name,
            zip,
            ..
        } = download;
        let project = self.project.clone();
        let read =
            tokio::task::spawn_blocking(move || Version::read(&project, version, file_name, zip)).await;
        match read.map_err(|error| Trouble::Later(error.to_string()))? {
            Ok(version) => Ok(Some(version)),
            Err(BaseError::Zip(error)) => {
                tracing::debug!(project = %self.project, version, %error, "the zip of a version cannot be read");
                Ok(None)
            }
            Err(error) => Err(Trouble::Own(error.to_string())),
        }
    }

    async fn listed(&self) -> Result<BTreeSet<String>, Trouble> {
        let list = self.client.flows(&self.project).await;
        Ok(list.map_err(|error| self.trouble(&error))?.flows)
    }

    async fn log(&self, size: usize, skip: usize) -> Result<Vec<LogEntry>, Trouble> {
        let log = self.client.project_log(&self.project, size, skip).await;
        log.map_err(|error| self.trouble(&error))
    }

    /// Tells people once what happened in the versions.
    fn found(&self, findings: &[Finding]) {
        let told = std::mem::replace(&mut self.work().told, findings.to_vec());
        for finding in findings.iter().filter(|finding| !told.contains(finding)) {
            let project = &self.project;
            match finding {
                Finding::Zombie { version } => {
                    self.metrics.zombie();
                    tracing::warn!(%project, version, "an abandoned upload landed over a newer one; the newer one is restored");
                }
                Finding::Foreign { version, file } => {
                    self.metrics.foreign_upload();
                    tracing::info!(%project, version, file, "somebody else uploaded; theirs is what counts now");
                }
                Finding::Merged {
                    version,
                    file,
                    back,
                    conflicts,
                } => {
                    self.metrics.foreign_upload();
                    let conflicts: Vec<&str> = conflicts.iter().map(String::as_str).take(20).collect();
                    tracing::warn!(
                        %project, version, file, back, conflicts = conflicts.join(", "),
                        "somebody else's upload is merged: flows that it lacked come back, and where both sides changed a flow Flowlift's counts"
                    );
                }
            }
        }
    }

    async fn download(&self, version: Option<u32>) -> Result<Option<Download>, Trouble> {
        self.client
            .download(&self.project, version)
            .await
            .map_err(|error| self.trouble(&error))
    }

    /// Creates the project.
    pub async fn make(&self) -> Event {
        if let Err(trouble) = self.may_write() {
            return Event::Made(Err(trouble));
        }
        let made = self
            .client
            .create_project(&self.project, "Flows brought up by Flowlift")
            .await;
        Event::Made(match made {
            Ok(_) => {
                self.work().created = true;
                Ok(())
            }
            Err(error) => Err(self.trouble(&error)),
        })
    }

    /// Looks for an attempt in the project log: Azkaban writes the line last, under the project's lock. `server` is the process
    /// it was sent to; where another one answers and the line is not there, it cannot come any more.
    pub async fn look(&self, attempt: &str, server: Option<&str>) -> Event {
        // asked first: what the old process wrote is in the log that the new one shows
        let now = match server {
            Some(_) => self.server().await,
            None => None,
        };
        let log = match self.client.project_log(&self.project, LOG_LINES, 0).await {
            Ok(log) => log,
            Err(ClientError::ProjectMissing { .. }) => return Event::Looked(Ok(Landing::Impossible)),
            Err(error) => return Event::Looked(Err(self.trouble(&error))),
        };
        // somebody else may have uploaded what they downloaded, under the name it came with
        let landed = log
            .iter()
            .any(|entry| uploaded_file(entry) == Some(attempt) && entry.user == self.client.user());
        let gone = now.is_some_and(|now| Some(now.as_str()) != server);
        Event::Looked(Ok(match (landed, gone) {
            (true, _) => Landing::Landed,
            (false, true) => Landing::Impossible,
            (false, false) => Landing::NotSeen,
        }))
    }

    /// Azkaban's process, where it tells.
    pub async fn server(&self) -> Option<String> {
        let status = self.client.status().await.ok()?;
        (status.pid != "unknown").then_some(status.pid)
    }

    /// Whether the newest upload in the project log is this attempt; `None` where that cannot be told now.
    pub async fn is_still(&self, attempt: &str) -> Option<bool> {
        let mut skip = 0;
        loop {
            let page = match self.log(LOG_LINES, skip).await {
                Ok(page) => page,
                // deleted by somebody: nothing is to be repaired
                Err(Trouble::ProjectMissing) => return Some(true),
                Err(_) => return None,
            };
            let mut files = page.iter().filter_map(uploaded_file);
            if let Some(newest) = files.next() {
                // a browser names a download as we named the upload, and people upload it again under that name
                return Some(newest == attempt && files.all(|file| file != attempt));
            }
            if page.len() < LOG_LINES {
                // made anew by somebody: nothing of ours is in it
                return Some(true);
            }
            skip += page.len();
        }
    }

    /// Compares the flow list with what was meant.
    pub async fn list(&self) -> Event {
        let Some(expected) = self
            .work()
            .prepared
            .as_ref()
            .map(|prepared| Arc::clone(&prepared.expected))
        else {
            return Event::Listed(Err(Trouble::Later("the plan is gone".into())));
        };
        let begun = std::time::Instant::now();
        let listed = match self.client.flows(&self.project).await {
            Ok(list) => list.flows,
            Err(error) => return Event::Listed(Err(self.trouble(&error))),
        };
        self.metrics.verified(begun.elapsed());
        self.work().took.verify_ms = ms_since(begun);
        Event::Listed(Ok(compare(&expected, &listed)))
    }
}

fn compare(expected: &BTreeSet<String>, listed: &BTreeSet<String>) -> Result<(), String> {
    let missing: Vec<&String> = expected.difference(listed).collect();
    let extra: Vec<&String> = listed.difference(expected).collect();
    let mut parts = Vec::new();
    if !missing.is_empty() {
        parts.push(super::named("missing", &missing));
    }
    if !extra.is_empty() {
        parts.push(super::named("unexpected", &extra));
    }
    if parts.is_empty() {
        Ok(())
    } else {
        Err(format!("of the flows, {}", parts.join(" and ")))
    }
}

fn nothing(exists: bool, desk: Option<Arc<OwnedSemaphorePermit>>) -> BaseInHand {
    BaseInHand {
        base: Arc::new(Base::empty()),
        exists,
        highest: 0,
        desk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_with_the_first_few_names() {
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(compare(&set(&["a"]), &set(&["a"])), Ok(()));
        let text = compare(&set(&["a", "b", "c", "d", "e", "f", "g"]), &set(&["x"])).unwrap_err();
        assert_eq!(
            text,
            "of the flows, 7 missing (a, b, c, d, e, ...) and 1 unexpected (x)"
        );
    }
}
