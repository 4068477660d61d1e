//! Zips and files made to break a server: each gets an answer, and the server goes on.

use azkaban_standin::Options;

use crate::support::azkaban::{Azkaban, Project};
use crate::support::http::Request;
use crate::support::zips::{jobs, v2, zip};

/// Whatever the answer is, the next one is as always.
async fn survives(project: &Project<'_>, what: &str, upload: &[u8]) -> u16 {
    let status = project.upload(upload).await.status;
    assert!([200, 500].contains(&status), "{what}: {status}");
    assert_eq!(
        Request::get("/status").send(project.azkaban.addr).await.status,
        200,
        "{what}"
    );
    status
}

#[tokio::test]
async fn depth_breaks_nothing() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    for depth in [490, 1_900, 30_000] {
        let path = format!("{}x.job", "a/".repeat(depth));
        survives(&project, "folders in folders", &zip(&[(&path, "type=noop")])).await;
    }
    let deep = format!("nodes: {}{}", "[".repeat(50_000), "]".repeat(50_000));
    survives(&project, "lists in lists", &v2(&[("f", &deep)])).await;
    let maps = format!("{}x", "{a: ".repeat(50_000));
    survives(&project, "maps in maps", &v2(&[("f", &maps)])).await;
    let mut nested = "nodes: [{name: a, type: noop}]".to_owned();
    for _ in 0..3000 {
        nested = format!("nodes: [{{name: a, type: flow, {nested}}}]");
    }
    survives(&project, "flows in flows", &v2(&[("f", &nested)])).await;
    let condition = format!(
        "nodes:\n- name: a\n  type: noop\n  condition: \"{}\"\n",
        "!(".repeat(20_000)
    );
    survives(&project, "brackets in brackets", &v2(&[("f", &condition)])).await;
}

#[tokio::test]
async fn flows_that_embed_each_other_without_end_are_given_up() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    let mut files = vec![("f0.job".to_owned(), "type=noop\n".to_owned())];
    for level in 1..60 {
        let embed = |side: &str| {
            (
                format!("{side}{level}.job"),
                format!("type=flow\nflow.name=f{}\n", level - 1),
            )
        };
        files.extend([embed("a"), embed("b")]);
        files.push((
            format!("f{level}.job"),
            format!("type=noop\ndependencies=a{level},b{level}\n"),
        ));
    }
    let files: Vec<_> = files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_str()))
        .collect();
    assert_eq!(survives(&project, "2^59 jobs", &zip(&files)).await, 200);
    assert_eq!(
        project.ajax("fetchflowgraph", &[("flow", "f59")]).await.status,
        500
    );
    assert_eq!(
        project.ajax("fetchflowgraph", &[("flow", "f2")]).await.status,
        200
    );
    let json = project.execute("f59", &[]).await.json();
    assert_eq!(json["error"], "Error submitting flow f59. Java heap space");
}

#[tokio::test]
async fn a_chain_of_embedded_flows_is_given_up() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    let names: Vec<(String, String)> = (0..3000)
        .map(|at| match at {
            0 => ("e0".to_owned(), String::new()),
            at => (format!("e{at}"), format!("type=flow\nflow.name=e{}\n", at - 1)),
        })
        .collect();
    let chain: Vec<_> = names
        .iter()
        .map(|(name, rest)| (name.as_str(), rest.as_str()))
        .collect();
    assert_eq!(survives(&project, "a chain", &jobs(&chain)).await, 200);
    assert_eq!(
        project.ajax("fetchflowgraph", &[("flow", "e2999")]).await.status,
        500
    );
}

#[tokio::test]
async fn entries_that_would_leave_the_folder_are_refused() {
    let azkaban = Azkaban::standin(Options::default()).await;
    let project = azkaban.project().await;
    for path in ["../a.job", "a/../../b.job", "a/..", "..\\a.job/../x"] {
        let reply = project.upload(&zip(&[(path, "type=noop")])).await;
        assert_eq!(
            reply.json()["error"],
            "Installation Failed.<br>Error unzipping file.",
            "{path}"
        );
    }
}
