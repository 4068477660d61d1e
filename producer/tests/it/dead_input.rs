//! `flowlift dead` with a command line that asks for nothing sensible: no RabbitMQ is needed to say so.

use crate::person::Person;

#[test]
fn what_is_meant_has_to_be_said() {
    let person = Person::new();
    for (args, sentence) in [
        (
            "dead purge",
            "purge which? expected ids, or --run, --project, --reason, --older-than, --newer-than, or --all",
        ),
        (
            "dead requeue --yes",
            "requeue which? expected ids, or --run, --project, --reason, --older-than, --newer-than, or --all",
        ),
        (
            "dead edit 0c6bfa0d.17",
            "an editor needs a terminal; without one, --set FILE (or --set -) has the change",
        ),
    ] {
        person.is_refused(args, 64, sentence);
    }
}

#[test]
fn what_clap_refuses_is_a_usage_error_too() {
    let person = Person::new();
    for (args, part) in [
        (
            "dead show 17",
            "expected an id as `flowlift dead list` prints it, for example 6c0bfa0d.17",
        ),
        (
            "dead list --run nope",
            "expected a run's id, or its last 8 digits",
        ),
        (
            "dead list --older-than 7",
            "expected a time such as 30m, 2h or 7d",
        ),
        ("dead purge 0c6bfa0d.17 --all", "cannot be used with"),
        ("dead purge --run 0c6bfa0d --all", "cannot be used with"),
        ("dead requeue --all --timeout 5s", "--wait"),
        ("dead", "Usage: flowlift dead"),
    ] {
        let words: Vec<&str> = args.split(' ').collect();
        let said = person.calls(&words);
        assert_eq!((said.code, said.out.as_str()), (64, ""), "{args}: {}", said.err);
        assert!(said.err.contains(part), "{args}: {}", said.err);
    }
}
