//! What `flowlift` says about traces, with the program that has them; how they arrive is tried in
//! `consumer/tests/traces/`, with both programs.

#![cfg(test)]

use std::process::{Command, Output};

fn flowlift(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_flowlift"))
        .current_dir(folder.path())
        .env_clear()
        .envs(variables.iter().copied())
        .args(words)
        .output()
        .unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    (
        output.status.code(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[test]
fn an_address_that_is_none_is_one_sentence_without_its_secret() {
    let output = flowlift(
        &[
            "publish",
            "--project",
            "p",
            "--flows",
            "1",
            "--traces",
            "collector:4318",
        ],
        &[],
    );
    let sentence = "traces from --traces is \"collector:4318\", expected http(s)://host:port of an OpenTelemetry collector (credentials go into OTEL_EXPORTER_OTLP_HEADERS): it does not begin with http:// or https://\n";
    assert_eq!(said(&output), (Some(78), sentence.to_owned()));
    let secret = [("FLOWLIFT_TRACES", "http://me:s3cret@collector:4318")];
    let (code, text) = said(&flowlift(&["config"], &secret));
    assert_eq!(code, Some(78));
    assert!(
        text.contains("environment FLOWLIFT_TRACES") && !text.contains("s3cret"),
        "{text}"
    );
}

#[test]
fn where_traces_go_is_one_of_the_settings_in_force() {
    let output = flowlift(&["config"], &[("FLOWLIFT_TRACES", "http://Collector:4318/")]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output).1);
    let text = String::from_utf8(output.stdout).unwrap();
    let row = text.lines().find(|line| line.contains("traces"));
    let row = row.unwrap_or_else(|| panic!("{text}"));
    assert!(
        row.contains("http://collector:4318") && row.contains("environment FLOWLIFT_TRACES"),
        "{row}"
    );
    let off = flowlift(&["config"], &[]);
    assert!(!String::from_utf8(off.stdout).unwrap().contains("traces"));
}
