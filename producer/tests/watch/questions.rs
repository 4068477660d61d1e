//! Every expression of every dashboard, with its variables filled in.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use crate::stage::Stage;

/// What somebody wants to know.
#[derive(Debug)]
pub(crate) struct Question {
    board: String,
    title: String,
    pub(crate) expression: String,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} {}", self.board, self.title, self.expression)
    }
}

/// All of them, of all dashboards; the variables' own queries too.
pub(crate) fn questions(stage: &Stage) -> Vec<Question> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/grafana/dashboards");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let name = board["title"].as_str().unwrap();
        let mut ask = |title: &str, expression: &str| {
            all.push(Question {
                board: name.to_owned(),
                title: title.to_owned(),
                expression: filled_in(expression, stage),
            });
        };
        for panel in board["panels"].as_array().unwrap() {
            let targets = panel["targets"].as_array().into_iter().flatten();
            for target in targets {
                ask(panel["title"].as_str().unwrap(), target["expr"].as_str().unwrap());
            }
        }
        for variable in board["templating"]["list"].as_array().unwrap() {
            if let Some(query) = variable["query"]["query"].as_str() {
                // label_values(SERIES, LABEL)
                let series = query
                    .strip_prefix("label_values(")
                    .unwrap()
                    .rsplit_once(", ")
                    .unwrap()
                    .0;
                ask(variable["name"].as_str().unwrap(), series);
            }
        }
    }
    all
}

/// As Grafana does it for somebody who chose "All", the first consumer, and looks at the last minutes.
fn filled_in(expression: &str, stage: &Stage) -> String {
    let filled = expression
        .replace("$__rate_interval", "20s")
        .replace("$job", ".+")
        .replace("$vhost", ".+")
        .replace("$instance", &stage.consumers()[0]);
    assert!(!filled.contains('$'), "a variable nobody knows: {filled}");
    filled
}
