//! Plain HTTP by curl: what a browser or a person's script sends. What is secret goes by standard input.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Runs curl with settings in its own file syntax; returns the body, and the head with `include`.
pub(crate) async fn curl(settings: &str) -> Result<Vec<u8>, String> {
    let mut child = Command::new("curl")
        .args(["-sS", "--max-time", "300", "--config", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("curl is installed");
    let mut input = child.stdin.take().expect("its standard input");
    input.write_all(settings.as_bytes()).await.expect("curl reads");
    drop(input);
    let out = child.wait_with_output().await.expect("curl ends");
    if out.status.success() {
        Ok(out.stdout)
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}

/// A value in curl's file syntax.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

pub(crate) async fn get(url: &str) -> String {
    text(&format!("url = {}\n", quoted(url))).await
}

pub(crate) async fn put(url: &str, json: &str) -> String {
    text(&format!(
        "url = {}\nrequest = \"PUT\"\ndata = {}\n",
        quoted(url),
        quoted(json)
    ))
    .await
}

pub(crate) async fn post(url: &str) -> String {
    text(&format!("url = {}\ndata = \"\"\n", quoted(url))).await
}

async fn text(settings: &str) -> String {
    let answer = curl(settings).await.expect("it answers");
    String::from_utf8(answer).expect("text")
}
