//! `flowlift config`.

use clap::CommandFactory as _;
use serde_json::{Map, json};

use super::Context;
use crate::cli::Cli;
use crate::cli::setting::ConfigArgs;
use crate::exit::{Failure, printed};
use crate::table::table;

/// Runs it.
pub(super) fn run(context: &Context, args: &ConfigArgs) -> Result<(), Failure> {
    if let Some(shell) = args.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "flowlift", &mut script);
        return printed(std::io::Write::write_all(&mut std::io::stdout(), &script));
    }
    let settings = &context.settings;
    let json = || {
        let row = |row: &flowlift_common::config::InForce| {
            (
                row.name.to_owned(),
                json!({"value": row.value, "from": row.origin.to_string()}),
            )
        };
        let rows: Map<_, _> = settings.origins().iter().map(row).collect();
        json!({"target": settings.target, "protected": settings.protected, "settings": rows})
    };
    let people = || {
        let rows = settings
            .origins()
            .iter()
            .map(|row| vec![row.name.to_owned(), row.value.clone(), row.origin.to_string()]);
        let mut text = table(&["setting", "value", "from"], rows);
        if let Some(target) = &settings.target {
            let protected = if settings.protected { ", protected" } else { "" };
            text += &format!("\ntarget {target}{protected}");
        }
        text
    };
    context.print(json, people)
}
