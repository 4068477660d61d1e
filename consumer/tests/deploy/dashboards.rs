//! Dashboards: what Grafana would accept without a word and show empty or askew is a mistake here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::Names;
use crate::promql;
use crate::root;

const FOLDER: &str = "deploy/grafana/dashboards";
/// What Grafana 11 ships and these dashboards use.
const TYPES: [&str; 5] = ["bargauge", "heatmap", "row", "stat", "timeseries"];
/// Grafana's units, as far as they are used; an unknown one is shown as text behind the number.
const UNITS: [&str; 9] = [
    "Bps",
    "bytes",
    "cps",
    "mps",
    "none",
    "ops",
    "s",
    "short",
    "percentunit",
];
/// Grafana's grid.
const COLUMNS: u64 = 24;
/// The schema of Grafana 11.
const SCHEMA: u64 = 40;

struct Board {
    name: String,
    json: Value,
}

impl Board {
    fn all() -> Vec<Self> {
        let folder = std::fs::read_dir(root().join(FOLDER)).unwrap();
        let mut boards: Vec<Self> = folder
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let text = std::fs::read_to_string(&path).unwrap();
                let json = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
                Self { name, json }
            })
            .collect();
        boards.sort_by(|a, b| a.name.cmp(&b.name));
        boards
    }

    fn panels(&self) -> &[Value] {
        self.json["panels"].as_array().unwrap()
    }

    /// Those with data; rows are headings.
    fn charts(&self) -> impl Iterator<Item = &Value> {
        self.panels().iter().filter(|panel| panel["type"] != "row")
    }

    fn variables(&self) -> &[Value] {
        self.json["templating"]["list"].as_array().unwrap()
    }

    fn label(&self, panel: &Value) -> String {
        format!("{}: panel {} {}", self.name, panel["id"], panel["title"])
    }
}

fn text<'v>(value: &'v Value, field: &str) -> &'v str {
    value[field].as_str().unwrap_or_default()
}

#[test]
fn there_is_a_dashboard_for_the_whole_for_a_consumer_and_for_rabbitmq() {
    let boards = Board::all();
    let names: Vec<&str> = boards.iter().map(|board| board.name.as_str()).collect();
    assert_eq!(names, ["consumer.json", "overview.json", "rabbitmq.json"]);
    let uids: BTreeSet<&str> = boards.iter().map(|board| text(&board.json, "uid")).collect();
    let titles: BTreeSet<&str> = boards.iter().map(|board| text(&board.json, "title")).collect();
    assert_eq!((uids.len(), titles.len()), (3, 3), "{uids:?} {titles:?}");
    for board in &boards {
        assert_eq!(board.json["schemaVersion"], SCHEMA, "{}", board.name);
        // made by hand or exported, an id would overwrite somebody's dashboard
        assert!(board.json.get("id").is_none(), "{}", board.name);
        for link in board.json["links"].as_array().unwrap() {
            let uid = text(link, "url").trim_start_matches("/d/");
            assert!(uids.contains(uid), "{} links to {uid}", board.name);
        }
    }
    let home = crate::read("docker-compose.yml");
    assert!(
        home.contains("/var/lib/grafana/dashboards/overview.json"),
        "the first page people see"
    );
}

#[test]
fn every_panel_is_a_question_with_an_explanation_a_unit_and_a_known_type() {
    for board in Board::all() {
        let mut ids = BTreeSet::new();
        for panel in board.panels() {
            let label = board.label(panel);
            assert!(
                ids.insert(panel["id"].as_u64().unwrap()),
                "{label}: the id is there twice"
            );
            assert!(TYPES.contains(&text(panel, "type")), "{label}: {}", panel["type"]);
            assert!(!text(panel, "title").is_empty(), "{label}");
        }
        assert!(board.charts().count() > 10, "{}", board.name);
        for panel in board.charts() {
            let label = board.label(panel);
            assert!(text(panel, "title").ends_with('?'), "{label}");
            assert!(text(panel, "description").len() > 10, "{label}");
            let unit = text(&panel["fieldConfig"]["defaults"], "unit");
            assert!(UNITS.contains(&unit), "{label}: unit {unit:?}");
        }
    }
}

#[test]
fn no_panel_lies_over_another_or_beside_the_grid() {
    for board in Board::all() {
        let mut taken: BTreeMap<(u64, u64), String> = BTreeMap::new();
        for panel in board.panels() {
            let label = board.label(panel);
            let at = |field: &str| {
                panel["gridPos"][field]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{label}: {field}"))
            };
            let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
            assert!(w > 0 && h > 0 && x + w <= COLUMNS, "{label}");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                if let Some(other) = taken.insert(cell, label.clone()) {
                    panic!("{label} lies over {other} at {cell:?}");
                }
            }
        }
    }
}

/// The data source is chosen by whoever imports a dashboard.
#[test]
fn every_query_goes_to_the_data_source_that_was_chosen() {
    for board in Board::all() {
        let first = &board.variables()[0];
        assert_eq!(
            (text(first, "name"), text(first, "type"), text(first, "query")),
            ("datasource", "datasource", "prometheus"),
            "{}",
            board.name
        );
        let mut sources = Vec::new();
        collect("datasource", &board.json, &mut sources);
        assert!(sources.len() > board.panels().len(), "{}", board.name);
        for source in sources {
            assert_eq!(text(source, "uid"), "${datasource}", "{}", board.name);
            assert_eq!(text(source, "type"), "prometheus", "{}", board.name);
        }
        for panel in board.charts() {
            for target in panel["targets"].as_array().unwrap() {
                assert!(target.get("datasource").is_some(), "{}", board.label(panel));
            }
        }
    }
}

/// All values of a field, however deep.
fn collect<'v>(field: &str, value: &'v Value, into: &mut Vec<&'v Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == field && value.is_object() {
                    into.push(value);
                }
                collect(field, value, into);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect(field, value, into)),
        _ => {}
    }
}

#[test]
fn every_expression_asks_for_series_that_something_tells_and_variables_that_are_there() {
    let names = Names::all();
    for board in Board::all() {
        let mut variables: BTreeSet<String> = board
            .variables()
            .iter()
            .map(|variable| text(variable, "name").to_owned())
            .collect();
        // Grafana's own
        variables.insert("__rate_interval".into());
        let mut expressions: Vec<(String, String)> = Vec::new();
        for panel in board.charts() {
            let mut letters = BTreeSet::new();
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{}", board.label(panel));
            for target in targets {
                assert!(
                    letters.insert(text(target, "refId")),
                    "{}: refId",
                    board.label(panel)
                );
                expressions.push((board.label(panel), text(target, "expr").to_owned()));
            }
        }
        for variable in &board.variables()[1..] {
            let query = text(&variable["query"], "query");
            // the label at its end is none of the series
            let (series, label) = query.rsplit_once(", ").unwrap();
            assert!(label.ends_with(')'), "{query}");
            expressions.push((format!("{}: variable", board.name), format!("{series})")));
        }
        for (label, expression) in expressions {
            let series = promql::series(&expression);
            assert!(!series.is_empty(), "{label}: {expression}");
            for name in series {
                assert!(names.has(&name), "{label}: nothing tells {name}");
            }
            for used in expression.split('$').skip(1) {
                let used: String = used
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                assert!(variables.contains(&used), "{label}: ${used}");
            }
        }
    }
}

#[test]
fn grafana_is_given_the_dashboards_and_a_data_source() {
    let provider: Value = serde_saphyr::from_str(&crate::read(
        "deploy/grafana/provisioning/dashboards/flowlift.yml",
    ))
    .unwrap();
    let path = text(&provider["providers"][0]["options"], "path");
    assert!(crate::read("docker-compose.yml").contains(&format!("./{FOLDER}:{path}:ro")));
    let sources: Value = serde_saphyr::from_str(&crate::read(
        "deploy/grafana/provisioning/datasources/prometheus.yml",
    ))
    .unwrap();
    assert_eq!(sources["datasources"][0]["type"], "prometheus");
}
