//! Reads what a project holds, lists, looks into the log, makes a project. Mirrors `src/hands/base.rs`; what counts of the
//! versions is decided by production's `Reading`.

use std::rc::Rc;

use flowlift_azkaban::client::{ClientError, uploaded_file};
use flowlift_consumer::base::{Base, BaseError, Need, PAGE, Reading, Told, Version};
use flowlift_consumer::judge::trouble;
use flowlift_consumer::project::{BaseFacts, Doubtful, Event, Landing, Trouble};
use flowlift_consumer::work::Known;

use super::super::floor::{Place, What};
use super::attempts::attempt_of;
use super::{BaseInHand, USER};
use crate::azkaban::Caller;
use crate::azkaban::calls::{self, Downloaded};
use crate::world::{W, tell};

const LOG_LINES: usize = 500;

/// Reads the base: what counts of the project's versions, compared with what Azkaban lists.
pub(crate) async fn read_base(w: W, here: Place) -> What {
    let read = find(&w, &here).await;
    What::Heard(Event::Base(match read {
        Ok(found) => {
            let facts = BaseFacts {
                exists: found.exists,
                flows: found.base.loaded.flows.len(),
            };
            here.bench(&w, |bench| bench.base = Some(found));
            Ok(facts)
        }
        Err(Trouble::ProjectMissing) => {
            here.bench(&w, |bench| bench.base = Some(nothing(false)));
            Err(Trouble::ProjectMissing)
        }
        Err(trouble) => Err(trouble),
    }))
}

async fn find(w: &W, here: &Place) -> Result<BaseInHand, Trouble> {
    let (who, key) = (Caller::Node(here.node), here.key());
    let latest = calls::download(w, who, &key, None)
        .await
        .map_err(|error| trouble(&error))?;
    let Some(latest) = latest else {
        return Ok(nothing(true));
    };
    let highest = latest.version;
    let told = read_versions(w, here, latest).await?;
    let (_, listed) = calls::flows(w, who, &key)
        .await
        .map_err(|error| trouble(&error))?;
    for finding in &told.findings {
        tell!(w, "night-{}: finds in {key}: {finding:?}", here.node + 1);
    }
    let mut base = told.base;
    if w.safeguards.shrink_guard {
        base.compare(listed).map_err(Trouble::Later)?;
    }
    Ok(BaseInHand {
        base: Rc::new(base),
        exists: true,
        highest,
    })
}

async fn read_versions(w: &W, here: &Place, latest: Downloaded) -> Result<Told, Trouble> {
    let (who, key) = (Caller::Node(here.node), here.key());
    let newest = Known {
        project: latest.project_id,
        version: latest.version,
        attempt: latest.file.clone(),
    };
    let known = here.bench(w, |bench| bench.known.as_ref() == Some(&newest)) == Some(true);
    let mut reading = Reading::begin(unpack(here, &latest)?, known, USER);
    loop {
        match reading.need() {
            Need::Nothing => break,
            Need::Log { skip } => {
                let page = calls::log(w, who, &key, PAGE, skip).await;
                reading.log(page.map_err(|error| trouble(&error))?);
            }
            Need::Version(number) => match calls::download(w, who, &key, Some(number)).await {
                Ok(Some(found)) => reading.version(Some(unpack(here, &found)?)),
                Ok(None) => reading.version(None),
                Err(ClientError::VersionPurged { .. }) => reading.no_older(),
                Err(error) => return Err(trouble(&error)),
            },
            Need::Flows => {
                let listed = calls::flows(w, who, &key).await;
                reading.flows(listed.map_err(|error| trouble(&error))?.1);
            }
            Need::Job { flow, job } => {
                let params = match calls::job_info(w, who, &key, &flow, &job).await {
                    Ok(params) => Some(params),
                    Err(ClientError::FlowMissing { .. } | ClientError::JobMissing { .. }) => None,
                    Err(error) => return Err(trouble(&error)),
                };
                reading.job(&flow, &job, params.as_ref());
            }
        }
    }
    reading.finish().map_err(|error| match error {
        BaseError::Merge(_) => Trouble::Own(error.to_string()),
        _ => Trouble::Later(error.to_string()),
    })
}

fn unpack(here: &Place, found: &Downloaded) -> Result<Version, Trouble> {
    let tree = found.content.tree.clone();
    Version::of_files(&here.project, found.version, found.file.clone(), tree)
        .map_err(|error| Trouble::Own(error.to_string()))
}

fn nothing(exists: bool) -> BaseInHand {
    BaseInHand {
        base: Rc::new(Base::empty()),
        exists,
        highest: 0,
    }
}

/// Creates the project.
pub(crate) async fn make(w: W, here: Place) -> What {
    let made = calls::create(&w, Caller::Node(here.node), &here.key()).await;
    What::Heard(Event::Made(match made {
        Ok(_) => {
            here.bench(&w, |bench| bench.created = true);
            Ok(())
        }
        Err(error) => Err(trouble(&error)),
    }))
}

/// Azkaban's process, where it tells.
pub(super) async fn server(w: &W, here: &Place) -> Option<String> {
    calls::status(w, Caller::Node(here.node))
        .await
        .ok()
        .map(|status| status.pid)
}

/// Looks for an attempt in the project log.
pub(crate) async fn look(w: W, here: Place, whose: Doubtful) -> What {
    let (attempt, sent_to) = attempt_of(&w, &here, &whose);
    let now = match sent_to {
        Some(_) => server(&w, &here).await,
        None => None,
    };
    let log = calls::log(&w, Caller::Node(here.node), &here.key(), LOG_LINES, 0).await;
    What::Heard(Event::Looked(match log {
        Ok(log)
            if log
                .iter()
                .any(|entry| uploaded_file(entry) == Some(attempt.as_str()) && entry.user == USER) =>
        {
            Ok(Landing::Landed)
        }
        Ok(_) if now.is_some() && now != sent_to => Ok(Landing::Impossible),
        Ok(_) => Ok(Landing::NotSeen),
        Err(ClientError::ProjectMissing { .. }) => Ok(Landing::Impossible),
        Err(error) => Err(trouble(&error)),
    }))
}

/// Whether the newest upload in the project log is this attempt; `None` where that cannot be told now.
pub(super) async fn is_still(w: &W, here: &Place, attempt: &str) -> Option<bool> {
    match calls::log(w, Caller::Node(here.node), &here.key(), usize::MAX, 0).await {
        Ok(log) => {
            let mut files = log.iter().filter_map(uploaded_file);
            let newest = files.next();
            Some(newest.is_none_or(|newest| newest == attempt) && files.all(|file| file != attempt))
        }
        Err(ClientError::ProjectMissing { .. }) => Some(true),
        Err(_) => None,
    }
}

/// Compares the flow list with what was meant.
pub(crate) async fn list(w: W, here: Place) -> What {
    let expected = here.bench(&w, |bench| {
        bench
            .prepared
            .as_ref()
            .map(|prepared| Rc::clone(&prepared.expected))
    });
    let Some(expected) = expected.flatten() else {
        return What::Heard(Event::Listed(Err(Trouble::Later("the plan is gone".into()))));
    };
    let listed = calls::flows(&w, Caller::Node(here.node), &here.key()).await;
    What::Heard(Event::Listed(match listed {
        Ok((_, listed)) if listed == *expected => Ok(Ok(())),
        Ok((_, listed)) => Ok(Err(format!("{listed:?} are listed, {expected:?} were meant"))),
        Err(error) => Err(trouble(&error)),
    }))
}
