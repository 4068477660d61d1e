//! What is asked for, from the environment.

use std::env;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::process::Command;

use crate::scene::SHARDS;

/// How the rounds are run.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where our programs are.
    pub(crate) bin: PathBuf,
    /// Where logs go; a folder for each round.
    pub(crate) folder: PathBuf,
    /// A real Azkaban in place of the stand-in.
    pub(crate) azkaban: Option<String>,
    pub(crate) user: String,
    pub(crate) password: String,
    /// How often each round is played.
    pub(crate) rounds: usize,
    /// Only rounds whose name has one of these texts.
    only: Vec<String>,
    /// How many rounds run at a time, each lane with a RabbitMQ of its own.
    pub(crate) lanes: usize,
    /// Feeds chance.
    pub(crate) seed: u64,
    /// Where the table is written.
    pub(crate) table: Option<PathBuf>,
}

impl Options {
    /// `None`: nobody asked for it (`dev/chaos` does).
    pub(crate) fn read() -> Option<Self> {
        let text = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let number = |name: &str, default: u64| {
            text(name).map_or(default, |value| {
                value
                    .parse()
                    .unwrap_or_else(|_| panic!("{name} is {value:?}, expected a number"))
            })
        };
        let azkaban = text("AZKABAN_URL");
        Some(Self {
            folder: PathBuf::from(text("FLOWLIFT_CHAOS")?),
            bin: PathBuf::from(text("FLOWLIFT_BIN").expect("FLOWLIFT_BIN names the folder of our programs")),
            user: text("FLOWLIFT_AZKABAN_USER").unwrap_or_else(|| "azkaban".into()),
            password: text("FLOWLIFT_AZKABAN_PASSWORD").unwrap_or_else(|| "azkaban".into()),
            rounds: usize::try_from(number("ROUNDS", 1)).expect("a small number"),
            only: text("ONLY")
                .map(|names| names.split([',', ' ']).map(str::to_owned).collect())
                .unwrap_or_default(),
            lanes: usize::try_from(number("LANES", 3)).expect("a small number"),
            seed: number("SEED", 1),
            table: text("CHAOS_TABLE").map(PathBuf::from),
            azkaban,
        })
    }

    /// One of our programs; the kernel ends it when this one ends, however that happens. (The word of the kernel is about the
    /// thread that starts it, which is always the first one here.)
    pub(crate) fn program(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]).arg(self.bin.join(program));
        command
    }

    /// One of our programs, on this RabbitMQ.
    pub(crate) fn command(&self, program: &str, amqp_url: &str) -> Command {
        let mut command = self.program(program);
        command
            .env("FLOWLIFT_AMQP_URL", amqp_url)
            .env("FLOWLIFT_SHARDS", SHARDS.to_string())
            .env("FLOWLIFT_AZKABAN_USER", &self.user)
            .env("FLOWLIFT_AZKABAN_PASSWORD", &self.password)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// The command that asks for the same.
    pub(crate) fn words(&self) -> String {
        let mut words = Vec::new();
        if self.azkaban.is_some() {
            words.push("AZKABAN_URL=...".to_owned());
        }
        if self.rounds > 1 {
            words.push(format!("ROUNDS={}", self.rounds));
        }
        if !self.only.is_empty() {
            words.push(format!("ONLY={}", self.only.join(",")));
        }
        if self.seed != 1 {
            words.push(format!("SEED={}", self.seed));
        }
        words.push("make chaos".to_owned());
        words.join(" ")
    }

    pub(crate) fn wants(&self, round: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| round.contains(only.as_str()))
    }
}
