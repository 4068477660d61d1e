//! Bad input of every kind: the exact sentence and exit code. None of it needs a RabbitMQ: nothing is sent before all of it
//! is checked.

use crate::person::Person;

#[test]
fn a_source_that_is_not_there_is_no_input() {
    let person = Person::new();
    person.is_refused(
        "publish nowhere --project p",
        66,
        "nowhere: there is no such file or folder",
    );
    person.has("notes.txt", "x");
    person.is_refused(
        "publish notes.txt --project p",
        66,
        "notes.txt: expected a project folder, a .zip, or flows as .ndjson (one JSON object a line)",
    );
}

#[test]
fn a_command_line_that_does_not_go_together_is_a_usage_error() {
    let person = Person::new();
    person.has("d/a.job", "type=noop\n");
    for (args, sentence) in [
        (
            "publish --project p",
            "nothing to publish: expected a folder, a .zip, a .ndjson file, - for standard input, or --flows N",
        ),
        ("publish d", "which project? expected --project NAME"),
        ("publish --flows 3", "which project? expected --project NAME"),
        (
            "publish --project p --flows 3 --into x",
            "--into goes with a folder or a .zip, not with --flows",
        ),
        (
            "publish d --project p --into ../x",
            "--into \"../x\": expected a folder inside the project, for example team-a or teams/a",
        ),
        (
            "publish d --project p --cron {n%60}",
            "--cron \"{n%60}\": only generated flows (--flows) have a number {n}",
        ),
        (
            "publish --project p --flows 2 --template name=x",
            "--template name: expected {n} in it, or all flows have one name",
        ),
        (
            "publish --project p --flows 2 --template name=f{n:6}",
            "--template name: \"{n:6}\" is none of {n}, {n:06}, {n%60}, {n%60:02}",
        ),
        (
            "publish --project p --flows 2 --template nam=f{n}",
            "--template \"nam=f{n}\": expected name=TEXT or command=TEXT",
        ),
        (
            "publish --project p --flows 2 --jobs 3 --shape single",
            "--jobs 3 --shape single: a single flow has one job",
        ),
        (
            "publish d --project p --stream",
            "--stream reads standard input: expected - as the source",
        ),
        (
            "delete --project p --match=",
            "--match \"\": expected a pattern such as 'flow_0001*'; all flows are --all",
        ),
        (
            "delete --project p a b",
            "Delete 2 flows: a, b in project p? Without a terminal this needs --yes",
        ),
    ] {
        person.is_refused(args, 64, sentence);
    }
}

#[test]
fn what_clap_refuses_is_a_usage_error_too() {
    let person = Person::new();
    for args in [
        &["publish", "--flow", "3"][..],
        &["publish", "--project", "p", "--flows", "0"],
        &["publish", "--project", "p", "--flows", "x"],
        &["publish", "--project", "p", "--flows", "1", "--format", "3.0"],
        &[
            "publish",
            "--project",
            "p",
            "--flows",
            "1",
            "--wait",
            "--timeout",
            "5",
        ],
        &["publish", "--project", "p", "--flows", "1", "--timeout", "5s"],
        &["wait", "not-a-run"],
        &["list", "1nope"],
        &["unknown"],
        &[],
    ] {
        let said = person.calls(args);
        assert_eq!(said.code, 64, "{args:?}: {}", said.err);
        assert!(said.out.is_empty() && !said.err.is_empty(), "{args:?}");
    }
    assert_eq!(person.calls(&["--help"]).code, 0);
    assert_eq!(
        person.calls(&["--version"]).out,
        format!("flowlift {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn generated_flows_are_checked() {
    let person = Person::new();
    for (args, sentence) in [
        (
            "publish --project 1p --flows 1",
            "--project: project name \"1p\" must start with a letter, followed by letters, digits, '-' or '_' (flow number 1)\n1 mistake; nothing was queued",
        ),
        (
            "publish --project p --flows 1 --template name=a/b",
            "--template name: flow name \"a/b\" must not contain a slash (flow number 1)\n1 mistake; nothing was queued",
        ),
        (
            "publish --project p --flows 3 --template name=f{n%2}",
            "flow: flow \"f1\" is there twice (case does not count)\n1 mistake; nothing was queued",
        ),
    ] {
        person.is_refused(args, 65, sentence);
    }
    let cron = person.calls(&[
        "publish",
        "--project",
        "p",
        "--flows",
        "61",
        "--cron",
        "0 {n%61} * ? * *",
    ]);
    assert_eq!(
        (cron.code, cron.err.as_str()),
        (
            65,
            "cron: \"0 60 * ? * *\" of flow_000060: minute \"60\" must be made of numbers from 0 to 59\n1 mistake; nothing was queued\n"
        )
    );
    let long = format!("name={}{{n}}", "x".repeat(128));
    let said = person.calls(&["publish", "--project", "p", "--flows", "1", "--template", &long]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            65,
            "--template name: flow name has 129 characters, at most 128 are allowed (flow number 1)\n1 mistake; nothing was queued\n"
        )
    );
    let long = "p".repeat(65);
    let said = person.calls(&["publish", "--project", &long, "--flows", "1"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            65,
            "--project: project name has 65 characters, at most 64 are allowed (flow number 1)\n1 mistake; nothing was queued\n"
        )
    );
}

#[test]
fn all_mistakes_of_ndjson_come_at_once_with_file_line_and_field() {
    let person = Person::new();
    person.has(
        "f.ndjson",
        r#"{"flow":"good","command":"x"}
{"flow":"a","comand":"x"}
{"flow":"b","command":"x"
[1]
{"flow":"c"}
{"flow":"c2","command":"x","jobs":[]}

{"flow":"","command":"x"}
{"project":"x y","flow":"d","command":"x"}
{"flow":"GOOD","command":"x"}
{"flow":"e","jobs":[{"name":"x","type":"noop","dependsOn":["nope"]}]}
{"flow":"f","jobs":[{"name":"x","type":"noop","dependsOn":["y"]},{"name":"y","type":"noop","dependsOn":["x"]}]}
{"flow":"g","jobs":[{"name":"x","type":"noop"},{"name":"X","type":"noop"}]}
{"flow":"h","jobs":[{"name":"x","type":""}]}
{"flow":"i","jobs":[{"name":"x","type":"command"}]}
{"flow":"j","command":"x","cron":"@daily"}
{"flow":"k","delete":true,"command":"x"}
{"flow":"l","jobs":[{"name":"x","type":"noop","props":{"a":[1]}}]}
{"flow":"m","jobs":[{"name":"x","type":"noop","props":{"Xmx":"8G"}}]}
"#,
    );
    let sentence = r#"f.ndjson:2: unknown field `comand`, expected one of `project`, `flow`, `jobs`, `command`, `props`, `cron`, `delete` (column 20)
f.ndjson:3: the line ends inside an object (column 25)
f.ndjson:4: expected a JSON object such as {"flow": "x", "command": "echo hi"}
f.ndjson:5: jobs: it is missing, expected jobs, or a command for a flow of one job
f.ndjson:6: command: a flow has either jobs or a command
f.ndjson:8: flow: flow name is empty
f.ndjson:9: project: project name "x y" must start with a letter, followed by letters, digits, '-' or '_'
f.ndjson:10: flow: flow "GOOD" stands in line 1 already (case does not count)
f.ndjson:11: jobs.x.dependsOn: job "x" depends on "nope", which is not in the flow
f.ndjson:12: jobs.x.dependsOn: jobs depend on each other in a circle: x -> y -> x
f.ndjson:13: jobs[1].name: job names "x" and "X" differ in case alone, which Flow 1.0 ignores
f.ndjson:14: jobs.x.type: job "x" has no type
f.ndjson:15: jobs.x.command: job "x" has type command, but no command
f.ndjson:16: cron: "@daily" of j: a cron expression has 6 or 7 fields (second minute hour day-of-month month day-of-week [year]), this has 1
f.ndjson:17: delete: a deletion has no jobs, command, props or cron
f.ndjson:18: property "a" must be a text, a number, true or false (column 64)
f.ndjson:19: jobs.x.Xmx: Xmx of job "x" is 8G, at most 2G is allowed
17 mistakes; nothing was queued"#;
    person.is_refused("publish f.ndjson --project p", 65, sentence);
}

#[test]
fn lines_need_a_project_from_somewhere() {
    let person = Person::new();
    person.has("f.ndjson", "{\"flow\":\"a\",\"command\":\"x\"}\n");
    person.is_refused(
        "publish f.ndjson",
        65,
        "f.ndjson:1: project: it is missing, expected here or as --project for all lines\n1 mistake; nothing was queued",
    );
    person.has("empty.ndjson", "\n\n");
    person.is_refused(
        "publish empty.ndjson --project p",
        65,
        "empty.ndjson: there are no flows in it\n1 mistake; nothing was queued",
    );
}

#[test]
fn standard_input_is_checked_to_its_end_before_anything_is_sent() {
    let person = Person::new();
    let said = person.calls_with(
        &["publish", "-", "--project", "p"],
        b"{\"flow\":\"a\",\"command\":\"x\"}\n{\n",
    );
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            65,
            "standard input:2: the line ends inside an object (column 1)\n1 mistake; nothing was queued\n"
        )
    );
}

#[test]
fn all_mistakes_of_a_folder_come_at_once_with_file_line_and_property() {
    let person = Person::new();
    person.has("d/a.job", "type=noop\n\ndependencies=nope\n");
    person.has("d/b.job", "command=x\n");
    person.has("d/sub/c.job", "type=noop\ndependencies=c\n");
    person.has("d/x.job", "type=noop\ndependencies=y\n");
    person.has("d/y.job", "type=noop\ndependencies=x\n");
    person.has("d/sub/a.job", "type=noop\n");
    let sentence = r#"d/a.job:3: dependencies: job "a" depends on "nope", which is not in the project
d/b.job: type: job "b" has no type
d/sub/a.job: job "a" is already in a.job, and job names are unique in a whole project
d/sub/c.job:2: dependencies: job "c" depends on itself
d/x.job:2: dependencies: jobs depend on each other in a circle: x -> y -> x
5 mistakes; nothing was queued"#;
    person.is_refused("publish d --project p", 65, sentence);
    person.has("e/README", "x");
    person.is_refused(
        "publish e --project p",
        65,
        "e: there are no flows in it\n1 mistake; nothing was queued",
    );
}

#[test]
fn a_flow_2_project_is_checked_as_well() {
    let person = Person::new();
    person.has("d/p.project", "azkaban-flow-version: 2.0\n");
    person.has(
        "d/a.flow",
        "nodes:\n- name: x\n  type: noop\n  dependsOn:\n  - nope\n",
    );
    person.has("d/b.flow", "nodes: [\n");
    let said = person.calls(&["publish", "d", "--project", "p"]);
    assert_eq!(said.code, 65);
    let lines: Vec<&str> = said.err.lines().collect();
    assert_eq!(
        lines[0],
        "d/a.flow:2: x.dependsOn: job \"x\" depends on \"nope\", which is not in the flow"
    );
    assert!(lines[1].starts_with("d/b.flow"), "{}", lines[1]);
    assert_eq!(lines[2], "2 mistakes; nothing was queued");
}

#[test]
fn a_zip_that_is_none_is_refused() {
    let person = Person::new();
    person.has("x.zip", "no zip");
    let said = person.calls(&["publish", "x.zip", "--project", "p"]);
    assert_eq!(said.code, 65);
    assert!(
        said.err.starts_with("x.zip: the zip cannot be read: "),
        "{}",
        said.err
    );
}

#[test]
fn a_schedule_for_a_whole_folder_is_checked_once() {
    let person = Person::new();
    for n in 0..5 {
        person.has(&format!("d/f{n}.job"), "type=noop\n");
    }
    let said = person.calls(&["publish", "d", "--project", "p", "--cron", "0 0 3 * * *"]);
    assert_eq!(
        (said.code, said.err.as_str()),
        (
            65,
            "--cron: \"0 0 3 * * *\": exactly one of day-of-month and day-of-week must be '?'\n1 mistake; nothing was queued\n"
        )
    );
}

#[test]
fn what_is_too_large_even_in_parts_is_refused_by_name() {
    let person = Person::new();
    person.has("d/a.job", "type=noop\n");
    // each zero takes six bytes in JSON
    person.has("d/lib/big.jar", vec![0; 70 << 20]);
    let said = person.calls(&["publish", "d", "--project", "p"]);
    let sentence = "d/lib/big.jar: size: file lib/big.jar has 420 MiB as JSON, at most 400 MiB are allowed in one change\n";
    assert!(said.code == 65 && said.err.starts_with(sentence), "{}", said.err);
}

#[test]
fn a_dry_run_says_what_would_be_queued_and_needs_no_broker() {
    let person = Person::new();
    person.has("d/a.job", "type=noop\ndependencies=s\n");
    person.has("d/b.job", "type=noop\ndependencies=s\n");
    person.has("d/s.job", "type=noop\n");
    person.has("d/c.properties", "x=1\n");
    let said = person.calls(&["publish", "d", "--project", "p", "--dry-run", "--prune"]);
    assert_eq!(
        (said.code, said.out.as_str()),
        (
            0,
            "d: 2 flows, 1 shared file in 2 changes\n  p: 2 changes\n  and all other flows of this owner would be deleted there\nall good; nothing was queued (--dry-run)\n"
        )
    );
    let said = person.calls(&[
        "publish",
        "--project",
        "p{n%2}",
        "--flows",
        "5",
        "--dry-run",
        "--json",
    ]);
    assert_eq!(
        said.out,
        "{\"changes\":5,\"deletions\":0,\"files\":0,\"flows\":5,\"projects\":{\"p0\":2,\"p1\":3},\"prune\":false}\n"
    );
}
