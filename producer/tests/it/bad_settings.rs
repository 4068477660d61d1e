//! Settings, brokers and Azkabans that cannot be used: one sentence, the right exit code, no secret.

use crate::person::Person;

#[test]
fn a_mistake_in_a_settings_file_is_told_with_its_line() {
    let person = Person::new();
    person.has(
        "flowlift.toml",
        "azkaban_url = \"http://a\"\namqp = \"amqp://me:s3cret@x\"\n",
    );
    person.is_refused(
        "publish --project p --flows 1",
        78,
        "flowlift.toml:2: unknown field `amqp`, expected one of `amqp_url`, `amqp_password_file`, `amqp_ca_file`, `amqp_cert_file`, `amqp_key_file`, `azkaban_url`, `azkaban_ca_file`, `user`, `password_file`, `shards`, `outcomes_age`, `outcomes_bytes`, `traces`, `target`",
    );
    person.is_refused(
        "config --config gone.toml",
        78,
        "settings file gone.toml cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn a_target_that_is_not_there_is_told_with_those_that_are() {
    let person = Person::new();
    person.has(
        "flowlift.toml",
        "[target.night]\namqp_url = \"amqp://a\"\n[target.day]\nprotected = true\n",
    );
    person.is_refused(
        "config --target nihgt",
        78,
        "there is no target \"nihgt\": flowlift.toml has day, night",
    );
    person.is_refused(
        "publish --project p --flows 1 --target day",
        78,
        "target day is protected: without a terminal this needs --confirm-target day",
    );
    for command in [
        "delete --project p --all --yes",
        "pause p",
        "resume",
        "cancel 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d",
        "dead purge --all --yes",
        "verify --run 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d --repair",
    ] {
        person.is_refused(
            &format!("{command} --target day --confirm-target night"),
            78,
            "target day is protected, and \"night\" is not its name: nothing was done",
        );
    }
    let looked = person.calls(&[
        "publish",
        "--project",
        "p",
        "--flows",
        "1",
        "--target",
        "day",
        "--dry-run",
    ]);
    assert_eq!(looked.code, 0, "{}", looked.err);
    assert!(
        person
            .calls(&[
                "publish",
                "--project",
                "p",
                "--flows",
                "1",
                "--target",
                "day",
                "--confirm-target",
                "day",
                "--amqp-url",
                "amqp://127.0.0.1:1"
            ])
            .err
            .starts_with("RabbitMQ at 127.0.0.1:1/ cannot be reached"),
    );
}

#[test]
fn an_address_that_is_none_is_told_without_its_password() {
    let person = Person::new();
    person.is_refused(
        "list --azkaban-url azkaban:8081",
        78,
        "azkaban_url from --azkaban-url is \"azkaban:8081\", expected http(s)://host:port[/path]: it does not begin with http:// or https://",
    );
    let said = person.calls(&[
        "publish",
        "--project",
        "p",
        "--flows",
        "1",
        "--amqp-url",
        "amqp//me:s3cret@x",
    ]);
    assert_eq!(said.code, 78);
    assert!(
        said.err
            .starts_with("amqp_url from --amqp-url is \"…@x\", expected amqp://"),
        "{}",
        said.err
    );
    assert!(!said.err.contains("s3cret"));
}

#[cfg(not(feature = "traces"))]
#[test]
fn traces_that_this_program_was_not_built_with_are_refused_at_once() {
    let person = Person::new().with("FLOWLIFT_TRACES", "http://127.0.0.1:4318");
    person.is_refused(
        "publish --project p --flows 1",
        78,
        "traces are set by environment FLOWLIFT_TRACES, but this program was built without them: the released programs and the image have them, an own build needs `--features traces`",
    );
}

#[test]
fn a_broker_that_is_not_there_is_unreachable() {
    let person = Person::new();
    let broker = free_port();
    let sentence =
        format!("RabbitMQ at 127.0.0.1:{broker}/ cannot be reached: Connection refused (os error 111)");
    for command in [
        "publish --project p --flows 1",
        "wait 019e0a5c-7c30-7d10-a3c5-2f6f0c6bfa0d",
        "topology show",
    ] {
        person.is_refused(
            &format!("{command} --amqp-url amqp://127.0.0.1:{broker}/%2f"),
            69,
            &sentence,
        );
    }
}

#[test]
fn a_cluster_that_is_not_there_is_told_node_by_node() {
    let (one, two) = (free_port(), free_port());
    let said = Person::new().calls(&[
        "runs",
        "--amqp-url",
        &format!("amqp://me:s3cret@127.0.0.1:{one},127.0.0.1:{two}/night"),
    ]);
    let refused = |port: u16| format!("127.0.0.1:{port}/night: Connection refused (os error 111)");
    let sentence = |first, second| {
        format!(
            "RabbitMQ cannot be reached at any of 2 addresses: {}; {}\n",
            refused(first),
            refused(second)
        )
    };
    assert_eq!(said.code, 69);
    // which one is asked first is drawn
    assert!(
        [sentence(one, two), sentence(two, one)].contains(&said.err),
        "{}",
        said.err
    );
}

#[test]
fn an_azkaban_that_is_not_there_is_unreachable_and_without_a_password_it_is_not_even_asked() {
    let azkaban = free_port();
    let call = format!("list --azkaban-url http://127.0.0.1:{azkaban}");
    Person::new().is_refused(
        &call,
        78,
        "no password for Azkaban is set: set FLOWLIFT_AZKABAN_PASSWORD, or --azkaban-password-file, or password_file in the settings file",
    );
    Person::new().with("FLOWLIFT_AZKABAN_PASSWORD", "x").is_refused(
        &call,
        69,
        &format!("cannot reach Azkaban at http://127.0.0.1:{azkaban}: Connection refused (os error 111)"),
    );
    Person::new().is_refused(
        &format!("{call} --azkaban-password-file gone"),
        78,
        "password file gone cannot be read: No such file or directory (os error 2)",
    );
}

#[test]
fn an_old_broker_is_refused() {
    let broker = Greeter::start("3.10.8");
    Person::new().is_refused(
        &format!("publish --project p --flows 1 --amqp-url amqp://127.0.0.1:{}/%2f", broker.port),
        78,
        &format!(
            "RabbitMQ at 127.0.0.1:{}/ is version 3.10.8, 4.0 or newer is needed: older ones ignore consumer priorities",
            broker.port
        ),
    );
}

#[test]
fn config_shows_where_each_setting_came_from_and_no_secret() {
    let person = Person::new()
        .with("FLOWLIFT_AZKABAN_PASSWORD", "s3cret")
        .with("FLOWLIFT_SHARDS", "8");
    person.has(
        "flowlift.toml",
        "[target.night]\namqp_url = \"amqp://me:s3cret@rabbit:5672/%2f\"\nprotected = true\n",
    );
    let said = person.calls(&["config", "--target", "night"]);
    assert_eq!(
        said.out,
        "setting         value                          from
amqp_url        amqp://me:***@rabbit:5672/%2f  flowlift.toml [target.night]
azkaban_url     http://127.0.0.1:8081          default
user            azkaban                        default
password        ***                            environment FLOWLIFT_AZKABAN_PASSWORD
shards          8                              environment FLOWLIFT_SHARDS
outcomes_age    30D                            default
outcomes_bytes  10GB                           default

target night, protected\n"
    );
    let json = person.calls(&["config", "--json"]).out;
    assert!(
        json.starts_with("{\"protected\":false") && !json.contains("s3cret"),
        "{json}"
    );
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// Greets as a RabbitMQ of some version, and says no more.
struct Greeter {
    port: u16,
}

impl Greeter {
    fn start(version: &'static str) -> Self {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut header = [0; 8];
            stream.read_exact(&mut header).unwrap();
            let mut table = b"\x07versionS".to_vec();
            table.extend((version.len() as u32).to_be_bytes());
            table.extend(version.as_bytes());
            let mut method = b"\x00\x0a\x00\x0a\x00\x09".to_vec();
            method.extend((table.len() as u32).to_be_bytes());
            method.extend(table);
            let mut frame = b"\x01\x00\x00".to_vec();
            frame.extend((method.len() as u32).to_be_bytes());
            frame.extend(method);
            frame.push(0xce);
            stream.write_all(&frame).unwrap();
        });
        Self { port }
    }
}

#[test]
fn what_is_kept_of_outcomes_is_checked_before_any_connection() {
    let person = Person::new();
    person.is_refused(
        "runs --outcomes-age 2w",
        78,
        "outcomes_age from --outcomes-age is \"2w\", expected a number above 0 with Y, M (months), D, h, m (minutes) or s, like 30D: it is no such age",
    );
    person.is_refused(
        "runs --outcomes-bytes 10MB",
        78,
        "outcomes_bytes from --outcomes-bytes is \"10MB\", expected a size like 500MB or 10GB, from 50MB: RabbitMQ keeps whole segments of 50 MB",
    );
}
