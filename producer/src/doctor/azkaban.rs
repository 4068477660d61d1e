//! Azkaban, as seen from here.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowlift_azkaban::archive::write_zip;
use flowlift_azkaban::client::{Client, ClientError, ServerStatus};
use flowlift_azkaban::{ProjectName, Tree};
use flowlift_common::topology::Record;
use uuid::Uuid;

use super::Finding;
use super::broker::apart;
use crate::words::{count, span};

/// Clocks that differ by more make schedules fire when nobody expects them.
const CLOCKS: Duration = Duration::from_secs(5);
/// What Azkaban takes at a time if nobody set more: 25 threads, some of them its own.
const THREADS: u16 = 20;
/// A zip of one flow takes well under a second.
const UPLOAD: Duration = Duration::from_secs(60);

/// How far the examination goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What anybody may see.
    Outside,
    /// What a login shows.
    Inside,
    /// A project is made, uploaded to, read back and deleted.
    Trial,
}

/// Looks at all of it.
pub async fn examine(client: &Client, record: Option<&Record>, depth: Depth, now_ms: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let status = match client.status().await {
        Ok(status) => status,
        Err(error) => return vec![unusable(&error)],
    };
    findings.extend(server(&status, now_ms));
    findings.extend(record.and_then(connections));
    if depth == Depth::Outside {
        return findings;
    }
    if let Err(error) = client.login_check().await {
        findings.push(refused(&error));
        return findings;
    }
    findings.push(match client.projects().await {
        Ok(projects) => Finding::good(
            "login",
            format!("works; {} there", count(projects.len() as u64, "project")),
        ),
        Err(error) => Finding::bad("login", error.to_string(), "look into Azkaban's log"),
    });
    if depth == Depth::Trial {
        findings.extend(tried(client).await);
    }
    findings
}

fn unusable(error: &ClientError) -> Finding {
    let advice =
        "is Azkaban's web server running there? `flowlift config` tells where the address comes from";
    Finding::bad("reached", error.to_string(), advice)
}

fn refused(error: &ClientError) -> Finding {
    let advice = match error {
        ClientError::LoginRefused { .. } => {
            "name a user of Azkaban's and its password (flowlift config tells where they come from)"
        }
        ClientError::SessionLimit { .. } => {
            "let azkaban.session.max_number_per_ip_per_user be larger, or use another user"
        }
        _ => "look into Azkaban's log",
    };
    Finding::bad("login", error.to_string(), advice)
}

/// What its status says.
pub(super) fn server(status: &ServerStatus, now_ms: u64) -> Vec<Finding> {
    let version = match status.version.as_str() {
        "unknown" => "a version built locally".to_owned(),
        version => format!("version {version}"),
    };
    let memory = format!(
        "{} of {} MiB heap in use",
        status.used_memory >> 20,
        status.max_memory >> 20
    );
    let mut findings = vec![Finding::good("reached", format!("{version}, {memory}"))];
    if !status.database_up {
        findings.push(Finding::bad(
            "database",
            "Azkaban does not reach it",
            "start Azkaban's database: no upload can be stored",
        ));
    }
    if let Some(theirs) = status.clock_ms {
        let off = apart(theirs, now_ms);
        findings.push(match off > CLOCKS {
            true => Finding::hint(
                "clock",
                format!("{} from this machine's", span(off)),
                "schedules fire by Azkaban's clock: let NTP set both",
            ),
            false => Finding::good("clock", "as this machine's"),
        });
    }
    findings
}

/// Whether the consumers together may open more connections than it takes.
pub(super) fn connections(record: &Record) -> Option<Finding> {
    let permits = record.permits?;
    Some(match permits > THREADS {
        true => Finding::hint(
            "connections",
            format!("the consumers may open {permits} at a time"),
            format!(
                "Azkaban takes some {THREADS} for everybody unless jetty.maxThreads is larger; fewer: --azkaban-connections"
            ),
        ),
        false => Finding::good(
            "connections",
            format!("at most {permits} for all consumers together"),
        ),
    })
}

/// A project that is made, gets one flow, is read back and deleted.
async fn tried(client: &Client) -> Vec<Finding> {
    let mut name = Uuid::now_v7().simple().to_string();
    let project = ProjectName::new(format!("flowlift_doctor_{}", name.split_off(20)));
    let Ok(project) = project else {
        return Vec::new();
    };
    let begun = Instant::now();
    let description = "flowlift doctor tries whether it may make, upload and delete";
    if let Err(error) = client.create_project(&project, description).await {
        let advice = "give the user the right to make projects (permission CREATEPROJECTS), or let somebody make them and publish \
                      with --no-create";
        return vec![Finding::bad(
            "trial",
            format!("no project can be made: {error}"),
            advice,
        )];
    }
    let mut findings = Vec::new();
    findings.push(match uploaded(client, &project).await {
        Ok(()) => {
            let took = span(begun.elapsed());
            Finding::good(
                "trial",
                format!("project {project} was made, got a flow and was read back, all in {took}"),
            )
        }
        Err(reason) => Finding::bad(
            "trial",
            reason,
            "look into Azkaban's log, and whether its disk has room",
        ),
    });
    if let Err(error) = client.delete_project(&project).await {
        let advice =
            format!("delete project {project} by hand; the user may make projects and not delete them");
        findings.push(Finding::hint(
            "trial",
            format!("it could not be deleted: {error}"),
            advice,
        ));
    }
    findings
}

async fn uploaded(client: &Client, project: &ProjectName) -> Result<(), String> {
    let said = |error: ClientError| error.to_string();
    let job = Bytes::from_static(b"type=noop\n");
    let tree: Tree = BTreeMap::from([("doctor.job".to_owned(), job)]);
    let zip = write_zip(&tree).into();
    client
        .upload(project, "flowlift-doctor.zip", zip, UPLOAD)
        .await
        .map_err(said)?;
    let listed = client.flows(project).await.map_err(said)?.flows;
    match listed.contains("doctor") {
        true => Ok(()),
        false => Err("the upload was taken, and its flow is not there".into()),
    }
}
