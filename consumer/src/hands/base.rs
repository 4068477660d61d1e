//! Reads what a project holds, and believes only what is active.
//!
//! `download` hands out the highest version, also one whose install failed while the old flows stay active. The flow list
//! tells: a zip counts only if the loader makes exactly the listed flows of it, else the ones before it are tried.

use std::collections::BTreeSet;
use std::sync::Arc;

use flowlift_azkaban::client::{ClientError, Download};

use super::Hands;
use crate::base::{Base, BaseError};
use crate::project::{BaseFacts, Event, Landing, Trouble};
use crate::work::BaseInHand;

/// Azkaban keeps the zips of the current version and three before it.
const KEPT: u32 = 3;
/// How many lines of the project log are read to find an upload; a busy project writes one per schedule, too.
const LOG_LINES: usize = 500;

impl Hands {
    /// Downloads the base and checks it against the flow list.
    pub async fn read_base(&self) -> Event {
        Event::Base(match self.find_base().await {
            Ok(found) => {
                let facts = BaseFacts {
                    exists: found.exists,
                    flows: found.base.loaded.flows.len(),
                };
                self.work().base = Some(found);
                Ok(facts)
            }
            Err(Trouble::ProjectMissing) => {
                self.work().base = Some(nothing(false));
                Err(Trouble::ProjectMissing)
            }
            Err(trouble) => Err(trouble),
        })
    }

    async fn find_base(&self) -> Result<BaseInHand, Trouble> {
        let Some(latest) = self.download(None).await? else {
            return Ok(nothing(true));
        };
        let listed = self
            .client
            .flows(&self.project)
            .await
            .map_err(|error| self.trouble(&error))?
            .flows;
        let highest = latest.version;
        // not before the answers are here: a slow Azkaban must not keep others from unpacking
        let desk = Arc::clone(&self.desks)
            .acquire_owned()
            .await
            .map_err(|closed| Trouble::Later(closed.to_string()))?;
        let desk = Some(Arc::new(desk));
        let mut tried = latest;
        loop {
            let version = tried.version;
            if let Some(base) = believed(tried, &listed).await? {
                let BaseInHand { base, ours, .. } = base;
                return Ok(BaseInHand {
                    base,
                    exists: true,
                    highest,
                    ours,
                    desk,
                });
            }
            tracing::info!(project = %self.project, version, "this version's zip is not what is active, looking before it");
            tried = self.before(version, highest).await?;
        }
    }

    /// The newest kept version below `version`.
    async fn before(&self, version: u32, highest: u32) -> Result<Download, Trouble> {
        let lowest = highest.saturating_sub(KEPT).max(1);
        for candidate in (lowest..version).rev() {
            match self.client.download(&self.project, Some(candidate)).await {
                Ok(Some(found)) => return Ok(found),
                Ok(None) | Err(ClientError::VersionPurged { .. }) => {}
                // a number that was never given to a zip
                Err(error)
                    if Self::is_final(&error) && !matches!(error, ClientError::ProjectMissing { .. }) => {}
                Err(error) => return Err(self.trouble(&error)),
            }
        }
        Err(Trouble::Later(
            "none of the kept zips makes the flows that Azkaban lists".into(),
        ))
    }

    async fn download(&self, version: Option<u32>) -> Result<Option<Download>, Trouble> {
        self.client
            .download(&self.project, version)
            .await
            .map_err(|error| self.trouble(&error))
    }

    /// Creates the project.
    pub async fn make(&self) -> Event {
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

    /// Looks for an attempt in the project log: Azkaban writes the line last, under the project's lock.
    pub async fn look(&self, attempt: &str) -> Event {
        let log = match self.client.project_log(&self.project, LOG_LINES, 0).await {
            Ok(log) => log,
            Err(ClientError::ProjectMissing { .. }) => return Event::Looked(Ok(Landing::Impossible)),
            Err(error) => return Event::Looked(Err(self.trouble(&error))),
        };
        let landed = log
            .iter()
            .any(|entry| flowlift_azkaban::client::uploaded_file(entry) == Some(attempt));
        Event::Looked(Ok(if landed { Landing::Landed } else { Landing::NotSeen }))
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

fn nothing(exists: bool) -> BaseInHand {
    BaseInHand {
        base: Arc::new(Base::empty()),
        exists,
        highest: 0,
        ours: true,
        desk: None,
    }
}

/// The base in a zip, if it makes exactly the listed flows.
async fn believed(download: Download, listed: &BTreeSet<String>) -> Result<Option<BaseInHand>, Trouble> {
    let (file_name, zip, highest) = (download.file_name, download.zip, download.version);
    let read = tokio::task::spawn_blocking(move || Base::read(zip)).await;
    let base = match read.map_err(|error| Trouble::Later(error.to_string()))? {
        Ok(base) => base,
        Err(error @ BaseError::Manifest(_)) => return Err(Trouble::Later(error.to_string())),
        Err(BaseError::Zip(_) | BaseError::Refused) => return Ok(None),
    };
    let made: BTreeSet<String> = base.loaded.listed().into_iter().map(str::to_owned).collect();
    if &made != listed {
        return Ok(None);
    }
    let ours = base.is_ours(&file_name);
    Ok(Some(BaseInHand {
        base: Arc::new(base),
        exists: true,
        highest,
        ours,
        desk: None,
    }))
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
