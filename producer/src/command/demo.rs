//! `flowlift demo`: two publishings that are waited for, to see everything work.

use std::time::{Duration, Instant};

use clap::Parser as _;
use serde_json::json;

use super::{Context, publish};
use crate::cli::setting::DemoArgs;
use crate::cli::{Cli, Command, PublishArgs};
use crate::exit::Failure;
use crate::words::{count, span};

/// One publishing of the demo.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    /// What it shows.
    title: String,
    /// How many flows it brings up.
    flows: u64,
    /// The words of `flowlift publish` that do it.
    words: Vec<String>,
}

/// Runs it.
pub(super) async fn run(context: &Context, args: &DemoArgs) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for part in parts(args) {
        context.reporter.say(&format!("{}:", part.title));
        let publish = arguments(&part)?;
        let begun = Instant::now();
        publish::run(context, &publish).await?;
        rows.push((part, begun.elapsed()));
    }
    context.print(|| table_json(&rows), || table(&rows))
}

/// A large project, and many small ones.
fn parts(args: &DemoArgs) -> [Part; 2] {
    let (name, many) = (&args.project, args.projects);
    let digits = many.saturating_sub(1).to_string().len().max(2);
    [
        Part {
            title: format!("{} into project {name}", count(args.flows, "flow")),
            flows: args.flows,
            words: words(args, name.as_str(), args.flows),
        },
        Part {
            title: format!(
                "{} into each of {}, {name}_{:0digits$} and so on",
                count(args.each, "flow"),
                count(many, "project"),
                0
            ),
            flows: many * args.each,
            words: words(args, &format!("{name}_{{n%{many}:0{digits}}}"), many * args.each),
        },
    ]
}

fn words(args: &DemoArgs, project: &str, flows: u64) -> Vec<String> {
    let seconds = format!("{}s", args.timeout.as_secs().max(1));
    let flows = flows.to_string();
    let fixed = ["flowlift", "publish", "--wait", "--timeout", &seconds];
    let source = ["--project", project, "--flows", &flows];
    fixed.iter().chain(&source).map(|&word| word.to_owned()).collect()
}

/// The same as a person would type, so that it has the defaults `publish` has.
fn arguments(part: &Part) -> Result<Box<PublishArgs>, Failure> {
    match Cli::try_parse_from(&part.words) {
        Ok(Cli {
            command: Command::Publish(args),
            ..
        }) => Ok(args),
        Ok(_) => Err(Failure::Usage("the demo publishes only".into())),
        Err(error) => Err(Failure::Usage(error.render().to_string())),
    }
}

fn table(rows: &[(Part, Duration)]) -> String {
    let wide = rows.iter().map(|(part, _)| part.title.len()).max().unwrap_or(0);
    let lines = rows
        .iter()
        .map(|(part, took)| format!("  {:<wide$}  {:>9}", part.title, span(*took)));
    let flows: u64 = rows.iter().map(|(part, _)| part.flows).sum();
    let mut lines: Vec<String> = lines.collect();
    lines.push(format!(
        "All {} are in Azkaban; `flowlift runs` and `flowlift report RUN` say more.",
        count(flows, "flow")
    ));
    lines.join("\n")
}

fn table_json(rows: &[(Part, Duration)]) -> serde_json::Value {
    let row = |(part, took): &(Part, Duration)| json!({"what": part.title, "flows": part.flows, "seconds": (took.as_secs_f64() * 1000.0).round() / 1000.0});
    json!({"demo": rows.iter().map(row).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> DemoArgs {
        let cli = Cli::try_parse_from([&["flowlift", "demo"], words].concat()).unwrap();
        match cli.command {
            Command::Demo(args) => args,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_a_word_it_is_ten_thousand_flows_and_three_thousand_in_thirty_projects() {
        let [large, many] = parts(&args(&[]));
        assert_eq!((large.flows, many.flows), (10_000, 3_000));
        assert_eq!(large.title, "10,000 flows into project demo");
        assert_eq!(
            many.title,
            "100 flows into each of 30 projects, demo_00 and so on"
        );
        let publish = arguments(&many).unwrap();
        assert_eq!(publish.source.project.as_deref(), Some("demo_{n%30:02}"));
        assert_eq!(publish.source.flows, Some(3_000));
        assert!(publish.wait);
        assert_eq!(publish.timeout, Some(Duration::from_secs(900)));
    }

    #[test]
    fn its_size_can_be_said() {
        let said = args(&["--project", "x", "--flows", "5", "--projects", "2", "--each", "3"]);
        let [large, many] = parts(&said);
        assert_eq!((large.flows, many.flows), (5, 6));
        assert_eq!(
            arguments(&many).unwrap().source.project.as_deref(),
            Some("x_{n%2:02}")
        );
    }

    #[test]
    fn the_table_tells_what_took_how_long() {
        let [large, many] = parts(&args(&[]));
        let rows = [
            (large, Duration::from_millis(6_800)),
            (many, Duration::from_millis(820)),
        ];
        let table = table(&rows);
        let lines: Vec<&str> = table.lines().collect();
        assert!(lines[0].starts_with("  10,000 flows into project demo ") && lines[0].ends_with(" 6.8 s"));
        assert!(lines[1].ends_with(" 0.8 s"), "{table}");
        assert!(lines[2].starts_with("All 13,000 flows are in Azkaban"));
        assert_eq!(table_json(&rows)["demo"][1]["seconds"], 0.82);
    }
}
