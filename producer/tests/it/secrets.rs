//! No secret comes out anywhere: not on a terminal, not in a log that tells everything, not in metrics, reports or streams.

use std::sync::{Arc, Mutex};

use azkaban_standin::{Options, Standin, User};
use flowlift_azkaban::client::{Client, ClientConfig};
use flowlift_common::amqp::{Sender, Start, StreamReader};
use flowlift_common::ledger;
use flowlift_common::topology::{ATTEMPTS, OUTCOMES, RECORD, RUNS, STEER};
use serde_json::{Value, json};

use crate::consumer::Consumer;
use crate::publish::id_of;
use crate::readback::Azkaban;
use crate::rights::{CONSUMER, PRODUCER};
use crate::vhost::Vhost;

const OF_PRODUCER: &str = "pRod@:w/rd%?#1";
const OF_CONSUMER: &str = "c0ns@:w/rd%?#2";
const OF_AZKABAN: &str = "azk@ :w/rd%?&=3";
const SECRETS: [&str; 3] = [OF_PRODUCER, OF_CONSUMER, OF_AZKABAN];

/// What a secret may look like: as it is, percent-encoded in some ways, in JSON, and as part of something in base64.
fn disguises(secret: &str) -> Vec<String> {
    let percent = |kept: &str| -> Vec<String> {
        let byte = |byte: u8, upper: bool| match (char::from(byte), upper) {
            (c, _) if c.is_ascii_alphanumeric() || kept.contains(c) => c.to_string(),
            (_, true) => format!("%{byte:02X}"),
            (_, false) => format!("%{byte:02x}"),
        };
        let whole = |upper| secret.bytes().map(|b| byte(b, upper)).collect::<String>();
        vec![whole(true), whole(false)]
    };
    let mut all: Vec<String> = ["", "-_.~", "/:?", "*-._"]
        .into_iter()
        .flat_map(percent)
        .collect();
    let plus: Vec<String> = all.iter().map(|text| text.replace("%20", "+")).collect();
    all.extend(plus);
    all.push(secret.to_owned());
    all.push(json!(secret).to_string().trim_matches('"').to_owned());
    for lead in 0..3 {
        let mut bytes = vec![0; lead];
        bytes.extend(secret.bytes());
        let text = base64(&bytes);
        // what stands before and behind it changes the first and the last letters
        all.push(text[4..text.len() - 4].to_owned());
    }
    all
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |three: &[u8]| -> String {
        let at = |n: usize| u32::from(three.get(n).copied().unwrap_or_default());
        let bits = (at(0) << 16) | (at(1) << 8) | at(2);
        let letter = |shift: u32| char::from(LETTERS[(bits >> shift & 63) as usize]);
        [18, 12, 6, 0].map(letter).iter().collect()
    };
    bytes.chunks(3).map(group).collect()
}

/// All that was said, with who said it.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn hears(&mut self, who: impl Into<String>, text: impl Into<String>) {
        self.0.push((who.into(), text.into()));
    }

    #[track_caller]
    fn holds_no_secret(&self) {
        for (who, text) in &self.0 {
            for secret in SECRETS {
                for disguise in disguises(secret) {
                    // the line itself would tell it once more
                    assert!(
                        !text.contains(&disguise),
                        "{who} tells the secret {secret} as {disguise}"
                    );
                }
            }
        }
    }

    fn of(&self, who: &str) -> usize {
        let texts = self.0.iter().filter(|(name, _)| name.starts_with(who));
        texts.map(|(_, text)| text.len()).sum()
    }
}

#[test]
fn a_secret_would_be_found() {
    for text in [
        format!("amqp://me:{OF_PRODUCER}@x"),
        "password=azk%40+%3Aw%2Frd%25%3F%26%3D3&action=login".to_owned(),
        format!("auth {}", base64(format!("\0me\0{OF_CONSUMER}").as_bytes())),
        "c0ns%40%3Aw%2Frd%25%3F%232".to_owned(),
        "c0ns%40%3aw%2frd%25%3f%232".to_owned(),
    ] {
        let mut said = Said::default();
        said.hears("somebody", &text);
        assert!(
            std::panic::catch_unwind(|| said.holds_no_secret()).is_err(),
            "{text}"
        );
    }
}

/// Every record of a stream, as its readers see it.
async fn records(vhost: &Vhost, stream: &str) -> String {
    let link = vhost.link().await;
    let mark = ledger::encode(&json!({"end": "of the scan"}));
    let mut reader = StreamReader::open(&link, stream, Start::First).await.unwrap();
    Sender::open(&link)
        .await
        .unwrap()
        .record(stream, &mark)
        .await
        .unwrap();
    let mut text = String::new();
    loop {
        let body = reader.next().await.unwrap().body;
        if body == mark {
            break;
        }
        text += &ledger::decode::<Value>(&body).unwrap().to_string();
    }
    reader.close().await;
    link.close().await;
    text
}

#[tokio::test]
async fn no_secret_comes_out_anywhere() {
    let Some(vhost) = Vhost::new() else { return };
    let options = Options {
        users: vec![User::admin("azkaban", OF_AZKABAN)],
        ..Options::default()
    };
    let standin = Standin::start(options).await.unwrap();
    let client = Client::new(ClientConfig::new(standin.url(), "azkaban", OF_AZKABAN)).unwrap();
    let azkaban = Azkaban { standin, client };
    let url = vhost.user_with("consumer", OF_CONSUMER, CONSUMER);
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let log = Arc::new(Mutex::new(String::new()));
    let lines = Arc::clone(&log);
    let consumer = Consumer::start_with(
        &azkaban,
        &[
            ("FLOWLIFT_AMQP_URL", &url),
            ("FLOWLIFT_AMQP_PASSWORD", OF_CONSUMER),
            ("FLOWLIFT_AZKABAN_PASSWORD", OF_AZKABAN),
            ("FLOWLIFT_LOG_LEVEL", "trace"),
            ("FLOWLIFT_METRICS_LISTEN", &format!("127.0.0.1:{port}")),
        ],
        move |line| {
            let mut text = lines.lock().unwrap();
            *text += line;
            *text += "\n";
        },
    )
    .await;
    let mut said = Said::default();
    let url = vhost.user_with("producer", OF_PRODUCER, PRODUCER);
    let mut person = azkaban
        .known_to(vhost.person())
        .with("FLOWLIFT_AMQP_URL", &url)
        .with("FLOWLIFT_AMQP_PASSWORD", OF_PRODUCER)
        .with("FLOWLIFT_AZKABAN_PASSWORD", OF_AZKABAN)
        .with("FLOWLIFT_LOG_LEVEL", "trace");
    let mut runs = Vec::new();
    for (args, code) in [
        ("publish --project p --flows 3 --owner a --wait", 0),
        ("publish --project p --flows 1 --owner b --wait", 1),
        ("wait RUN", 1),
        ("show --run RUN --json", 0),
        ("report RUN --html report.html", 0),
        ("report RUN --json", 0),
        ("dead list --json", 0),
        ("dead show RUN.1", 0),
        ("status --json", 0),
        ("runs --json", 0),
        ("verify --project p --flows 3", 0),
        ("list p", 0),
        ("config", 0),
        ("config --json", 0),
        ("topology show --json", 0),
        ("pause p", 0),
        ("resume p", 0),
    ] {
        let last = runs.last().map(ToString::to_string).unwrap_or_default();
        let short = last.get(28..).unwrap_or_default();
        let call = args.replace("RUN.1", &format!("{short}.1")).replace("RUN", &last);
        let (same, answer) = azkaban.calls(person, &call).await;
        person = same;
        assert_eq!(answer.code, code, "{call}: {}", answer.err);
        if args.starts_with("publish") {
            runs.push(id_of(&answer));
        }
        said.hears(format!("output of {call}"), answer.out);
        said.hears(format!("trace of {call}"), answer.err);
    }
    let page = std::fs::read_to_string(person.path().join("report.html")).unwrap();
    said.hears("page", page);
    let metrics = metrics(port).await;
    assert!(metrics.contains("flowlift_consumer_"), "{metrics}");
    said.hears("metrics", metrics);
    for what in ["cmdline", "comm"] {
        let text = std::fs::read(format!("/proc/{}/{what}", consumer.pid())).unwrap();
        said.hears(what, String::from_utf8_lossy(&text));
    }
    for stream in [OUTCOMES, RUNS, ATTEMPTS, RECORD, STEER] {
        let text = records(&vhost, stream).await;
        assert!(!text.is_empty(), "{stream}");
        said.hears(stream, text);
    }
    said.hears("log", log.lock().unwrap().clone());
    // a trace that says nothing would prove nothing
    assert!(
        said.of("trace") > 1_000 && said.of("log") > 1_000,
        "{} {}",
        said.of("trace"),
        said.of("log")
    );
    said.holds_no_secret();
}

async fn metrics(port: u16) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}
