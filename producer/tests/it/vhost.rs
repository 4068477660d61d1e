//! A virtual host of its own on the broker of the tests.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use flowlift_common::amqp::Link;

use crate::person::Person;

/// Few shards make a vhost that is set up at once.
pub(crate) const SHARDS: u16 = 2;

/// A virtual host of its own on the broker of the tests.
pub(crate) struct Vhost {
    pub(crate) url: String,
    name: String,
    state: String,
    users: std::sync::Mutex<Vec<String>>,
}

impl Vhost {
    /// None where there is no broker.
    pub(crate) fn new() -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let (Ok(state), Ok(url)) = (
            std::env::var("FLOWLIFT_TEST_BROKER"),
            std::env::var("FLOWLIFT_AMQP_URL"),
        ) else {
            println!("skipped: no FLOWLIFT_TEST_BROKER; run it with dev/broker run -- cargo test");
            return None;
        };
        let name = format!(
            "producer-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let (base, _) = url.rsplit_once('/').unwrap();
        let vhost = Self {
            url: format!("{base}/{name}"),
            name,
            state,
            users: std::sync::Mutex::default(),
        };
        vhost.ctl(&["add_vhost", &vhost.name]);
        vhost.ctl(&["set_permissions", "-p", &vhost.name, "guest", ".*", ".*", ".*"]);
        Some(vhost)
    }

    /// A user of this virtual host with a password of its own; the address without the password. [`Vhost::forget`] takes it away.
    pub(crate) fn user(&self, password: &str) -> String {
        self.ctl(&["add_user", &self.name, password]);
        self.ctl(&["set_permissions", "-p", &self.name, &self.name, ".*", ".*", ".*"]);
        let host = self.url.rsplit_once('@').unwrap().1;
        format!("amqp://{}@{host}", self.name)
    }

    /// Takes the user away.
    pub(crate) fn forget(&self) {
        self.ctl(&["delete_user", &self.name]);
    }

    /// The address for another user; with these rights where some are given.
    pub(crate) fn user_with(&self, name: &str, password: &str, rights: [&str; 3]) -> String {
        let user = format!("{}-{name}", self.name);
        self.ctl(&["add_user", &user, password]);
        let [configure, write, read] = rights;
        self.ctl(&["set_permissions", "-p", &self.name, &user, configure, write, read]);
        let (_, rest) = self.url.rsplit_once('@').unwrap();
        self.users.lock().unwrap().push(user.clone());
        format!("amqp://{user}@{rest}")
    }

    fn ctl(&self, args: &[&str]) {
        let broker = concat!(env!("CARGO_MANIFEST_DIR"), "/../dev/broker");
        let output = Command::new(broker)
            .args(["ctl", "--state", &self.state, "--"])
            .args(args)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub(crate) fn person(&self) -> Person {
        Person::new()
            .with("FLOWLIFT_AMQP_URL", &self.url)
            .with("FLOWLIFT_SHARDS", &SHARDS.to_string())
    }

    pub(crate) async fn link(&self) -> Link {
        Link::connect(&self.url, "test").await.unwrap()
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        self.ctl(&["delete_vhost", &self.name]);
        for user in self.users.lock().unwrap().iter() {
            self.ctl(&["delete_user", user]);
        }
    }
}
