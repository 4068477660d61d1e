//! The real consumer beside the real `flowlift`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::readback::Azkaban;
use crate::vhost::{SHARDS, Vhost};

/// A running `flowlift-consumer`; killed when dropped.
pub(crate) struct Consumer(Child);

impl Consumer {
    /// Starts it and returns once it is subscribed. The stand-in answers in this process meanwhile.
    pub(crate) async fn start(vhost: &Vhost, azkaban: &Azkaban) -> Self {
        Self::start_with(azkaban, &[("FLOWLIFT_AMQP_URL", &vhost.url)], |_| {}).await
    }

    /// The same with these variables; `hears` gets each line it logs.
    pub(crate) async fn start_with(
        azkaban: &Azkaban,
        variables: &[(&str, &str)],
        mut hears: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        let program = Path::new(env!("CARGO_BIN_EXE_flowlift")).with_file_name("flowlift-consumer");
        assert!(
            program.exists(),
            "there is no {}: cargo build -p flowlift-consumer",
            program.display()
        );
        let mut child = Command::new(program)
            .args(["--name", "it"])
            .env("FLOWLIFT_METRICS_LISTEN", "127.0.0.1:0")
            .env("FLOWLIFT_SHARDS", SHARDS.to_string())
            .env("FLOWLIFT_AZKABAN_URL", azkaban.standin.url())
            .env("FLOWLIFT_AZKABAN_PASSWORD", "azkaban")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let subscribed = tokio::task::spawn_blocking(move || {
            let found = log.by_ref().any(|line| {
                let line = line.unwrap();
                hears(&line);
                line.contains("subscribed")
            });
            // a full pipe would stop it
            std::thread::spawn(move || log.map_while(Result::ok).for_each(|line| hears(&line)));
            found
        });
        let consumer = Self(child);
        assert!(
            subscribed.await.unwrap(),
            "the consumer ended before it subscribed"
        );
        consumer
    }
}

impl Consumer {
    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
