//! A command as a process of its own group: started, read line by line, killed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

/// How long a process may take to end after it was asked to.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// How long output of children is waited for after a process has ended.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);
/// A longer line is cut into several.
const LINE_MAX: usize = 64 << 10;

/// What happens while a process runs.
pub(super) enum Event<'a> {
    /// It wrote a line.
    Line(&'a str),
    /// It was asked to end.
    Asked,
    /// It did not, and is killed.
    Insisted,
}

/// A process that runs.
pub(super) struct Process {
    child: Child,
    output: pipe::Receiver,
    group: Group,
}

/// What belongs to a process dies with it, whatever becomes of us.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Starts a command without a shell; its output and errors come in one stream.
pub(super) fn start(words: &[String], env: &BTreeMap<String, String>, folder: &Path) -> io::Result<Process> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(env)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .process_group(0)
        .kill_on_drop(true);
    let child = command.spawn()?;
    // The command holds our ends of the pipe.
    drop(command);
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    Ok(Process {
        child,
        output: pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?,
        group: Group(group),
    })
}

impl Process {
    pub(super) fn id(&self) -> u32 {
        self.child.id().unwrap_or(0)
    }

    /// Tells what happens until it has ended; `kill` asks it to end and then insists. Returns Java's exit code.
    pub(super) async fn run(
        mut self,
        kill: &CancellationToken,
        mut tell: impl FnMut(Event<'_>),
    ) -> io::Result<i32> {
        let mut lines = Lines::default();
        let mut open = true;
        let (mut asked, mut insisted) = (false, false);
        let deadline = tokio::time::sleep(KILL_GRACE);
        tokio::pin!(deadline);
        let status = loop {
            tokio::select! {
                read = self.output.read_buf(&mut lines.buffer), if open => {
                    open = read.is_ok_and(|count| count > 0);
                    lines.hand_on(&mut tell);
                }
                status = self.child.wait() => break status?,
                () = kill.cancelled(), if !asked => {
                    asked = true;
                    tell(Event::Asked);
                    deadline.as_mut().reset(tokio::time::Instant::now() + KILL_GRACE);
                    self.signal(Signal::TERM);
                }
                () = &mut deadline, if asked && !insisted => {
                    insisted = true;
                    tell(Event::Insisted);
                    self.signal(Signal::KILL);
                }
            }
        };
        let rest = async {
            while open {
                open = self
                    .output
                    .read_buf(&mut lines.buffer)
                    .await
                    .is_ok_and(|count| count > 0);
                lines.hand_on(&mut tell);
            }
        };
        // Children in the background may hold it open for ever.
        let _ = tokio::time::timeout(OUTPUT_GRACE, rest).await;
        lines.end(&mut tell);
        Ok(exit_code(status))
    }

    /// The process alone, as Azkaban does; what it started goes with the group at the end.
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.group.0 {
            let _ = kill_process(pid, signal);
        }
    }
}

/// As Java tells it: 128 and the signal for a killed process.
fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default())
}

/// Cuts what is read into lines.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
}

impl Lines {
    fn hand_on(&mut self, tell: &mut impl FnMut(Event<'_>)) {
        let mut start = 0;
        while let Some(length) = memchr::memchr(b'\n', &self.buffer[start..]) {
            hand(&self.buffer[start..start + length], tell);
            start += length + 1;
        }
        self.buffer.drain(..start);
        if self.buffer.len() > LINE_MAX {
            self.end(tell);
        }
    }

    fn end(&mut self, tell: &mut impl FnMut(Event<'_>)) {
        if !self.buffer.is_empty() {
            let text = std::mem::take(&mut self.buffer);
            hand(&text, tell);
        }
    }
}

fn hand(text: &[u8], tell: &mut impl FnMut(Event<'_>)) {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    tell(Event::Line(&String::from_utf8_lossy(text)));
}
