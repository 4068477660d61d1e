//! Reads what a project holds, lists, looks into the log, makes a project. Mirrors `src/hands/base.rs`.

use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use flowlift_azkaban::Load;
use flowlift_azkaban::client::{ClientError, ErrorClass, uploaded_file};
use flowlift_common::manifest::{self, Manifest};
use flowlift_consumer::base::Base;
use flowlift_consumer::project::{BaseFacts, Doubtful, Event, Landing, Trouble};

use super::super::floor::{Place, What};
use super::attempts::name_of;
use super::{BaseInHand, trouble};
use crate::azkaban::Caller;
use crate::azkaban::calls::{self, Downloaded};
use crate::world::{W, tell};

const KEPT: u32 = 3;
const LOG_LINES: usize = 500;

/// Downloads the base and checks it against the flow list.
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
    let latest = calls::download(w, who, &key, None).await.map_err(|error| trouble(&error))?;
    let Some(latest) = latest else {
        return Ok(nothing(true));
    };
    let (_, listed) = calls::flows(w, who, &key).await.map_err(|error| trouble(&error))?;
    let highest = latest.version;
    let mut tried = latest;
    loop {
        let version = tried.version;
        if let Some(base) = believed(&tried, &listed)? {
            return Ok(BaseInHand {
                base: Rc::new(base),
                exists: true,
                highest,
            });
        }
        tell!(w, "night-{}: version {version} of {key} is not what is active", here.node + 1);
        tried = before(w, who, &key, version, highest).await?;
    }
}

async fn before(w: &W, who: Caller, key: &str, version: u32, highest: u32) -> Result<Downloaded, Trouble> {
    let lowest = highest.saturating_sub(KEPT).max(1);
    for candidate in (lowest..version).rev() {
        match calls::download(w, who, key, Some(candidate)).await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) | Err(ClientError::VersionPurged { .. }) => {}
            Err(error)
                if error.class() == ErrorClass::Permanent
                    && !matches!(error, ClientError::ProjectMissing { .. }) => {}
            Err(error) => return Err(trouble(&error)),
        }
    }
    Err(Trouble::Later(
        "none of the kept zips makes the flows that Azkaban lists".into(),
    ))
}

fn believed(download: &Downloaded, listed: &BTreeSet<String>) -> Result<Option<Base>, Trouble> {
    let content = &download.content;
    let Load::Flows(loaded) = &content.load else {
        return Ok(None);
    };
    let manifest = content.tree.get(manifest::PATH).map(|json| Manifest::read(json)).transpose();
    let manifest = manifest.map_err(|error| Trouble::Later(error.to_string()))?;
    if &content.listed() != listed {
        return Ok(None);
    }
    Ok(Some(Base {
        zip: Bytes::new(),
        tree: content.tree.clone(),
        loaded: loaded.clone(),
        manifest,
    }))
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

/// Looks for an attempt in the project log.
pub(crate) async fn look(w: W, here: Place, whose: Doubtful) -> What {
    let attempt = name_of(&w, &here, &whose);
    let log = calls::log(&w, Caller::Node(here.node), &here.key(), LOG_LINES).await;
    What::Heard(Event::Looked(match log {
        Ok(log) if log.iter().any(|entry| uploaded_file(entry) == Some(attempt.as_str())) => Ok(Landing::Landed),
        Ok(_) => Ok(Landing::NotSeen),
        Err(ClientError::ProjectMissing { .. }) => Ok(Landing::Impossible),
        Err(error) => Err(trouble(&error)),
    }))
}

/// Compares the flow list with what was meant.
pub(crate) async fn list(w: W, here: Place) -> What {
    let expected = here.bench(&w, |bench| bench.prepared.as_ref().map(|prepared| Rc::clone(&prepared.expected)));
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
