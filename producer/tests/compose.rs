//! docker-compose.yml without containers: each service of ours runs on this machine, with the file's own command and
//! environment; only host names and published ports are replaced by where things are here.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails there")]

#[path = "shared/build.rs"]
mod build;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Whatever is waited for comes within this, or the test fails.
const SOON: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
}

#[derive(Deserialize)]
struct Service {
    /// Ours are built, those of others are only fetched.
    build: Option<Build>,
    #[serde(default)]
    entrypoint: Vec<String>,
    #[serde(default)]
    command: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Build {
    dockerfile: PathBuf,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Our services by name.
fn services() -> BTreeMap<String, Service> {
    let text = std::fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let compose: Compose = serde_saphyr::from_str(&text).unwrap();
    let ours = compose
        .services
        .into_iter()
        .filter(|(_, service)| service.build.is_some());
    ours.collect()
}

/// A process of a service, ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts services with addresses replaced.
struct Host {
    /// What stands in the file to what holds here.
    places: Vec<(&'static str, String)>,
}

impl Host {
    fn here(&self, text: &str) -> String {
        self.places
            .iter()
            .fold(text.to_owned(), |text, (there, here)| text.replace(there, here))
    }

    /// The program stands beside this package's own one in the build folder.
    fn command(&self, service: &Service, more: &[&str]) -> Command {
        let words: Vec<String> = service
            .entrypoint
            .iter()
            .chain(&service.command)
            .map(|word| self.here(word))
            .collect();
        let words = if more.is_empty() {
            words
        } else {
            service
                .entrypoint
                .iter()
                .cloned()
                .chain(more.iter().map(|&word| word.to_owned()))
                .collect()
        };
        let program = Path::new(env!("CARGO_BIN_EXE_flowlift")).with_file_name(&words[0]);
        assert!(program.is_file(), "{} is no program of ours", words[0]);
        let mut command = Command::new(program);
        command.args(&words[1..]).env_clear().stdin(Stdio::null());
        command.envs(
            service
                .environment
                .iter()
                .map(|(name, value)| (name, self.here(value))),
        );
        command
    }

    fn start(&self, service: &Service) -> (Running, BufReader<impl Read + use<>>) {
        let mut child = self.command(service, &[]).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        (Running(child), log)
    }
}

/// Reads a log until a line with the text comes; returns that line.
fn await_line(log: &mut impl Read, text: &str) -> String {
    let (until, mut all) = (Instant::now() + SOON, String::new());
    for line in BufReader::new(log).lines() {
        let line = line.unwrap();
        if line.contains(text) {
            return line;
        }
        all.push_str(&line);
        all.push('\n');
        assert!(Instant::now() < until, "{text:?} did not come:\n{all}");
    }
    panic!("it ended without {text:?}:\n{all}");
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn ctl(state: &str, words: &[&str]) {
    let broker = root().join("dev/broker");
    let status = Command::new(broker)
        .args(["ctl", "--state", state, "--", "-q"])
        .args(words)
        .stdin(Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{words:?}");
}

#[test]
fn every_service_of_ours_is_in_the_image() {
    let services = services();
    assert_eq!(
        services.keys().collect::<Vec<_>>(),
        ["consumer", "flowlift", "standin"]
    );
    for service in services.values() {
        let dockerfile =
            std::fs::read_to_string(root().join(&service.build.as_ref().unwrap().dockerfile)).unwrap();
        let program = service.entrypoint.iter().chain(&service.command).next().unwrap();
        assert!(
            dockerfile.contains(&format!("target/release/{program} ")),
            "{program}"
        );
    }
}

#[test]
fn our_services_work_together_with_the_files_own_commands_and_settings() {
    let (Ok(state), Ok(url)) = (env::var("FLOWLIFT_TEST_BROKER"), env::var("FLOWLIFT_AMQP_URL")) else {
        println!("skipped: no broker (dev/broker run -- cargo test starts one)");
        return;
    };
    build::others();
    let services = services();
    let (standin, metrics) = (free_port(), free_port());
    let broker = url
        .rsplit_once('@')
        .unwrap()
        .1
        .split_once('/')
        .unwrap()
        .0
        .to_owned();
    let vhost = format!("/compose-{}", std::process::id());
    let host = Host {
        places: vec![
            ("rabbitmq:5672/flowlift", format!("{broker}{vhost}")),
            ("standin:8081", format!("127.0.0.1:{standin}")),
            ("0.0.0.0:8081", format!("127.0.0.1:{standin}")),
            ("0.0.0.0:9464", format!("127.0.0.1:{metrics}")),
        ],
    };
    // as deploy/rabbitmq/definitions.json has them
    ctl(&state, &["add_vhost", &vhost[1..]]);
    ctl(&state, &["add_user", "flowlift", "flowlift"]);
    ctl(
        &state,
        &["set_permissions", "-p", &vhost[1..], "flowlift", ".*", ".*", ".*"],
    );

    let (_standin, mut log) = host.start(&services["standin"]);
    await_line(&mut log, "listens on");
    let (_consumer, mut log) = host.start(&services["consumer"]);
    let line = await_line(&mut log, "subscribed");
    assert!(
        line.starts_with('{'),
        "the compose file asks for JSON logs: {line}"
    );

    let publish = [
        "publish",
        "--project",
        "compose",
        "--flows",
        "50",
        "--wait",
        "--timeout",
        "2m",
    ];
    let published = host.command(&services["flowlift"], &publish).output().unwrap();
    assert!(
        published.status.success(),
        "{}",
        String::from_utf8_lossy(&published.stderr)
    );
    let list = host
        .command(&services["flowlift"], &["list", "compose"])
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&list.stdout).matches("flow_0").count();
    assert_eq!(listed, 50, "{}", String::from_utf8_lossy(&list.stderr));
    let shown = host.command(&services["flowlift"], &[]).output().unwrap();
    assert!(shown.status.success() && !String::from_utf8_lossy(&shown.stdout).contains(":flowlift@"));
    ctl(&state, &["delete_vhost", &vhost[1..]]);
    ctl(&state, &["delete_user", "flowlift"]);
}
