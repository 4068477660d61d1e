//! The command line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use azkaban_standin::{Faults, Options, User};
use clap::Parser;

/// A small Azkaban for laptops, demos and tests: answers as 4.0.0 does, and runs the commands of flows, with your rights, for
/// whoever can log in.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Examples:
  azkaban-standin --ms-per-flow 0.6
  azkaban-standin --data azkaban.redb --scan-interval 1
  azkaban-standin --listen 127.0.0.1:0 --allow-faults
  curl -X PUT -d '{\"html_500\": 1}' http://127.0.0.1:8081/standin/faults
  curl http://127.0.0.1:8081/standin/stats
  azkaban-standin --probe --listen 0.0.0.0:8081

Exit codes: 0 stopped by a signal, 1 cannot run or does not answer, 64 wrong settings, 65 the data file is none, 74 the data file cannot be used."
)]
pub(crate) struct Cli {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
    pub(crate) listen: SocketAddr,
    /// Only ask the stand-in that runs at --listen whether it answers: ends with 0, or with 1 and the reason. For health checks.
    #[arg(long)]
    pub(crate) probe: bool,
    /// Who may log in, with the rights of an administrator.
    #[arg(long, value_name = "NAME", default_value = "azkaban")]
    user: String,
    /// File with that user's password on its first line; without it the password is `azkaban`.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with more users, one `name:password` or `name:password:admin` a line; `#` starts a comment.
    #[arg(long, value_name = "FILE")]
    users_file: Option<PathBuf>,
    /// Milliseconds an upload takes per flow of the whole zip (a real 4.0.0: 0.6).
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    ms_per_flow: f64,
    /// The same for Flow 2.0 (a real 4.0.0: 2.2); without it 3.67 times the value for Flow 1.0.
    #[arg(long, value_name = "MS")]
    ms_per_flow_v2: Option<f64>,
    /// Milliseconds added to every request.
    #[arg(long, value_name = "MS", default_value_t = 0.0)]
    ms_per_request: f64,
    /// Threads of the web server: one accepts, each open connection holds one more, idle or not.
    #[arg(long, value_name = "N", default_value_t = 25)]
    max_threads: usize,
    /// Seconds after which an idle connection is closed.
    #[arg(long, value_name = "S", default_value_t = 200)]
    connection_idle: u64,
    /// Minutes after which an unused session is gone.
    #[arg(long, value_name = "MIN", default_value_t = 600)]
    session_idle: u64,
    /// Sessions one user may have from one address (azkaban.session.max_number_per_ip_per_user); unlimited without it.
    #[arg(long, value_name = "N")]
    sessions_per_user: Option<usize>,
    /// Only administrators may create projects (lockdown.create.projects).
    #[arg(long)]
    lockdown_create: bool,
    /// Only administrators may upload (lockdown.upload.projects).
    #[arg(long)]
    lockdown_upload: bool,
    /// The largest request body in MiB.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    max_body: usize,
    /// The server's time zone, for cron schedules and times in answers.
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// Keep all but sessions in this file, so that a restart loses nothing else; without it all is kept in memory.
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Seconds between two looks at the schedules.
    #[arg(long, value_name = "S", default_value_t = 60.0)]
    scan_interval: f64,
    /// Executions that run at one time; others wait.
    #[arg(long, value_name = "N", default_value_t = 30)]
    flow_threads: usize,
    /// Executions that are remembered after they have ended; older ones are forgotten.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keep_executions: usize,
    /// What goes wrong from the start, as JSON for `PUT /standin/faults`, for example '{"fail_persist_after": 10}'.
    #[arg(long, value_name = "JSON")]
    faults: Option<String>,
    /// Let faults be set at run time with `PUT /standin/faults`.
    #[arg(long)]
    allow_faults: bool,
}

impl Cli {
    /// What goes wrong from the start.
    pub(crate) fn faults(&self, now: &Faults) -> anyhow::Result<Option<Faults>> {
        let Some(text) = &self.faults else {
            return Ok(None);
        };
        let changes = serde_json::from_str(text).context("--faults")?;
        let changed = now
            .changed(changes)
            .map_err(anyhow::Error::msg)
            .context("--faults")?;
        Ok(Some(changed))
    }

    /// Settings checked into types; an error is a sentence about one of them.
    pub(crate) fn options(&self) -> anyhow::Result<Options> {
        ensure!(
            self.max_threads >= 2,
            "--max-threads must be at least 2: one thread accepts connections"
        );
        for (name, ms) in [
            ("--ms-per-flow", Some(self.ms_per_flow)),
            ("--ms-per-flow-v2", self.ms_per_flow_v2),
            ("--ms-per-request", Some(self.ms_per_request)),
        ] {
            ensure!(
                ms.is_none_or(|ms| (0.0..=3_600_000.0).contains(&ms)),
                "{name} must be between 0 and 3600000"
            );
        }
        ensure!(
            (0.01..=86_400.0).contains(&self.scan_interval),
            "--scan-interval must be between 0.01 and 86400"
        );
        ensure!(self.flow_threads >= 1, "--flow-threads must be at least 1");
        // a small container has no time zones, and needs none for this one
        let time_zone = match self.time_zone.as_str() {
            "UTC" => jiff::tz::TimeZone::UTC,
            name => {
                jiff::tz::TimeZone::get(name).with_context(|| format!("--time-zone: {name:?} is unknown"))?
            }
        };
        Ok(Options {
            listen: self.listen,
            users: self.users()?,
            ms_per_flow: self.ms_per_flow,
            ms_per_flow_v2: self.ms_per_flow_v2,
            ms_per_request: self.ms_per_request,
            max_threads: self.max_threads,
            connection_idle: Duration::from_secs(self.connection_idle),
            session_idle: Duration::from_secs(self.session_idle * 60),
            sessions_per_user: self.sessions_per_user,
            lockdown_create: self.lockdown_create,
            lockdown_upload: self.lockdown_upload,
            body_max: self.max_body << 20,
            time_zone,
            scan_interval: Duration::from_secs_f64(self.scan_interval),
            flow_threads: self.flow_threads,
            keep_executions: self.keep_executions,
            data: self.data.clone(),
            allow_faults: self.allow_faults,
            ..Options::default()
        })
    }

    fn users(&self) -> anyhow::Result<Vec<User>> {
        ensure!(!self.user.trim().is_empty(), "--user must not be empty");
        let password = match &self.password_file {
            Some(file) => read(file)?.lines().next().unwrap_or_default().to_owned(),
            None => "azkaban".to_owned(),
        };
        ensure!(
            !password.trim().is_empty(),
            "--password-file: its first line is empty"
        );
        let mut users = vec![User::admin(&self.user, password)];
        if let Some(file) = &self.users_file {
            for (number, line) in (1..).zip(read(file)?.lines()) {
                let more = user(line).with_context(|| format!("{}, line {number}", file.display()))?;
                users.extend(more);
            }
        }
        Ok(users)
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// One line of a users file; nothing on empty lines and comments.
fn user(line: &str) -> anyhow::Result<Option<User>> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    match line.split(':').collect::<Vec<_>>()[..] {
        [name, password] if !name.is_empty() && !password.is_empty() => Ok(Some(User::plain(name, password))),
        [name, password, "admin"] if !name.is_empty() && !password.is_empty() => {
            Ok(Some(User::admin(name, password)))
        }
        _ => bail!("expected name:password or name:password:admin"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_file_line_is_a_name_a_password_and_perhaps_a_role() {
        assert_eq!(user("# x").unwrap(), None);
        assert_eq!(user("bob:pw").unwrap(), Some(User::plain("bob", "pw")));
        assert_eq!(user(" ann:pw:admin ").unwrap(), Some(User::admin("ann", "pw")));
        for bad in ["bob", "bob:", ":pw", "bob:pw:root"] {
            assert!(user(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn wrong_settings_are_refused_with_a_sentence() {
        let error = |args: &[&str]| {
            let cli = Cli::parse_from([&["azkaban-standin"], args].concat());
            cli.options().unwrap_err().to_string()
        };
        assert!(error(&["--max-threads", "1"]).starts_with("--max-threads must be at least 2"));
        assert!(error(&["--ms-per-flow=-1"]).starts_with("--ms-per-flow must be between"));
        assert!(
            error(&["--time-zone", "Mars/Olympus"]).starts_with("--time-zone: \"Mars/Olympus\" is unknown")
        );
    }
}
