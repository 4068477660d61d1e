//! Rules and alerts: they compute with series that are told, each alert has a section in the runbook and a test that makes it
//! fire, and promtool, where it is installed, tries all of it.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::names::Names;
use crate::promql;
use crate::{read, root};

const RECORDED: &str = "deploy/prometheus/rules/recorded.yml";
const ALERTS: &str = "deploy/prometheus/rules/alerts.yml";
const TESTS: &str = "deploy/prometheus/tests/alerts.yml";
const RUNBOOK: &str = "docs/RUNBOOK.md";
/// What people are told to type; all of it is there with this version.
const COMMANDS: [&str; 14] = [
    "cancel", "config", "dead", "list", "pause", "publish", "report", "resume", "runs", "show", "status",
    "topology", "verify", "wait",
];

#[derive(Deserialize)]
struct File {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    alert: Option<String>,
    expr: String,
    labels: Option<Labels>,
    annotations: Option<Annotations>,
}

#[derive(Deserialize)]
struct Labels {
    severity: String,
}

#[derive(Deserialize)]
struct Annotations {
    summary: String,
    description: String,
    runbook: String,
}

#[derive(Deserialize)]
struct TestFile {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    #[serde(default)]
    alert_rule_test: Vec<AlertTest>,
}

#[derive(Deserialize)]
struct AlertTest {
    alertname: String,
    #[serde(default)]
    exp_alerts: Vec<serde_json::Value>,
}

fn yaml<T: DeserializeOwned>(path: &str) -> T {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rules(path: &str) -> Vec<Rule> {
    let file: File = yaml(path);
    file.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// The names of recorded series.
pub(crate) fn recorded() -> impl Iterator<Item = String> {
    rules(RECORDED).into_iter().filter_map(|rule| rule.record)
}

fn alerts() -> Vec<(String, Rule)> {
    let named = |rule: Rule| Some((rule.alert.clone()?, rule));
    rules(ALERTS).into_iter().filter_map(named).collect()
}

/// The address of a heading within its page.
fn anchor(heading: &str) -> String {
    heading.trim().to_lowercase().replace(' ', "-")
}

#[test]
fn every_rule_computes_with_series_that_something_tells() {
    let names = Names::all();
    for rule in rules(RECORDED).into_iter().chain(rules(ALERTS)) {
        let series = promql::series(&rule.expr);
        assert!(!series.is_empty(), "{}", rule.expr);
        for name in series {
            assert!(names.has(&name), "nothing tells {name}: {}", rule.expr);
        }
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on() {
    let page = read(RUNBOOK);
    let sections: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(anchor)
        .collect();
    let mut used = BTreeSet::new();
    for (name, rule) in alerts() {
        assert!(name.starts_with("Flowlift"), "{name}");
        let severity = rule.labels.map(|labels| labels.severity).unwrap_or_default();
        assert!(
            ["warning", "critical"].contains(&severity.as_str()),
            "{name}: severity {severity:?}"
        );
        let annotations = rule
            .annotations
            .unwrap_or_else(|| panic!("{name} has no annotations"));
        assert!(
            annotations.summary.len() > 10 && annotations.description.len() > 10,
            "{name}"
        );
        let section = annotations
            .runbook
            .strip_prefix("docs/RUNBOOK.md#")
            .unwrap_or_default();
        assert!(
            sections.contains(section),
            "{name}: {} is not there",
            annotations.runbook
        );
        used.insert(section.to_owned());
    }
    assert_eq!(used, sections, "each section of the runbook belongs to an alert");
}

#[test]
fn the_runbook_says_for_each_alert_what_it_means_where_to_look_and_what_to_do() {
    let page = read(RUNBOOK);
    for section in page.split("\n## ").skip(1) {
        let title = section.lines().next().unwrap();
        for part in ["**What it means.**", "**Look at.**", "**Do.**"] {
            assert!(section.contains(part), "{title}: {part}");
        }
    }
    for words in page.split("`flowlift ").skip(1) {
        let command: String = words.chars().take_while(char::is_ascii_alphabetic).collect();
        assert!(COMMANDS.contains(&command.as_str()), "flowlift {command}");
    }
}

#[test]
fn every_alert_is_made_to_fire_and_to_stay_quiet_by_some_test() {
    let tests: TestFile = yaml(TESTS);
    let tests: Vec<AlertTest> = tests
        .tests
        .into_iter()
        .flat_map(|test| test.alert_rule_test)
        .collect();
    for (name, _) in alerts() {
        let mine = || tests.iter().filter(|test| test.alertname == name);
        assert!(
            mine().any(|test| !test.exp_alerts.is_empty()),
            "{name} never fires"
        );
        assert!(
            mine().any(|test| test.exp_alerts.is_empty()),
            "{name} is never quiet"
        );
    }
}

/// `None`: promtool is not installed, and that is said.
fn promtool(arguments: &[&str]) -> Option<Output> {
    let asked = Command::new("promtool")
        .args(arguments)
        .current_dir(root())
        .output();
    if asked.is_err() {
        println!("skipped: promtool is not installed (apt-get install prometheus)");
    }
    asked.ok()
}

fn passes(arguments: &[&str]) {
    if let Some(output) = promtool(arguments) {
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "promtool {arguments:?}:\n{said}");
    }
}

#[test]
fn promtool_accepts_the_rules_and_the_settings() {
    passes(&["check", "rules", "--lint=all", "--lint-fatal", RECORDED, ALERTS]);
    passes(&["check", "config", "deploy/prometheus/prometheus.yml"]);
}

#[test]
fn promtool_sees_each_alert_fire_by_its_fault() {
    passes(&["test", "rules", TESTS]);
}

#[test]
fn prometheus_is_given_the_rules() {
    let settings: serde_json::Value = yaml("deploy/prometheus/prometheus.yml");
    assert_eq!(settings["rule_files"][0], "rules/*.yml");
    let compose = read("docker-compose.yml");
    assert!(compose.contains("./deploy/prometheus/rules:/etc/prometheus/rules:ro"));
}
