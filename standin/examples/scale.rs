//! How large and how fast the stand-in is: fills a running one over HTTP, as clients do, and compares with its limits.
//!
//! `scale PROGRAM` starts that `azkaban-standin`; settings come from `BENCH_PROJECTS`, `BENCH_FLOWS` (per project) and
//! `BENCH_ROUNDS`. Ends with 1 when a limit is broken.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a measurement that cannot go on ends there, and prints what it finds"
)]

use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// Memory for 10,000 projects and 1,000,000 flows.
const MEMORY_MAX_MIB: u64 = 2048;
/// One upload of 10,000 flows.
const UPLOAD_MAX: Duration = Duration::from_millis(150);
const BIG: usize = 10_000;

/// A program that ends with this one.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    let Some(program) = std::env::args().nth(1) else {
        eprintln!("scale: say which azkaban-standin to start");
        return ExitCode::from(64);
    };
    let projects = setting("BENCH_PROJECTS", 10_000);
    let flows = setting("BENCH_FLOWS", 100);
    let rounds = setting("BENCH_ROUNDS", 5).max(1);

    let mut child = Command::new(program)
        .args(["--listen", "127.0.0.1:0"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    said.read_line(&mut line).unwrap();
    let standin = Program(child);
    let address = line
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let mut client = Client::new(address.expect("it says where it listens"));

    println!(
        "One upload of {BIG} flows (1.3 MB when a real server was measured), without artificial latency:"
    );
    let big = project_zip(BIG);
    let mut times = Vec::new();
    for round in 0..=rounds {
        client.create("big");
        let begun = Instant::now();
        client.upload("big", &big);
        // The first one is for warming up.
        if round > 0 {
            times.push(begun.elapsed());
            println!("{:>8} {:>8} ms", round, times[times.len() - 1].as_millis());
        }
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "{:>8} {:>8} ms, at most {} are right\n",
        "median",
        median.as_millis(),
        UPLOAD_MAX.as_millis()
    );

    let zip = project_zip(flows);
    let begun = Instant::now();
    for number in 0..projects {
        let name = format!("project_{number:05}");
        client.create(&name);
        client.upload(&name, &zip);
    }
    let took = begun.elapsed();
    let (resident, peak) = memory(standin.0.id());
    println!(
        "{projects} projects of {flows} flows ({} flows): {resident} MiB, at the most {peak} MiB, at most {MEMORY_MAX_MIB} are \
         right; filled in {} s",
        projects * flows,
        took.as_secs()
    );
    if median > UPLOAD_MAX || peak > MEMORY_MAX_MIB {
        eprintln!("scale: over a limit");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn setting(name: &str, default: usize) -> usize {
    let value = std::env::var(name).ok().and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

/// Flow 1.0: so many flows of one command each.
fn project_zip(flows: usize) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for number in 0..flows {
        let name = format!("flow_{number:06}.job");
        writer.start_file(name, SimpleFileOptions::default()).unwrap();
        write!(writer, "type=command\ncommand=echo flow {number}\nretries=1\n").unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Resident memory of a process now and at its peak, in MiB.
fn memory(process: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        kib / 1024
    };
    (mib("VmRSS"), mib("VmHWM"))
}

/// One connection that is kept.
struct Client {
    address: String,
    stream: BufReader<TcpStream>,
    session: String,
}

impl Client {
    fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            address: address.to_owned(),
            stream: BufReader::new(stream),
            session: String::new(),
        };
        let answer = client.form("/", "action=login&username=azkaban&password=azkaban");
        client.session = answer
            .split('"')
            .find(|word| word.len() == 36 && word.contains('-'))
            .expect("a session")
            .to_owned();
        client
    }

    fn form(&mut self, path: &str, body: &str) -> String {
        self.post(path, "application/x-www-form-urlencoded", body.as_bytes())
    }

    fn post(&mut self, path: &str, kind: &str, body: &[u8]) -> String {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// It may be there already.
    fn create(&mut self, name: &str) {
        let body = format!(
            "session.id={}&action=create&name={name}&description=scale",
            self.session
        );
        self.form("/manager", &body);
    }

    fn upload(&mut self, project: &str, zip: &[u8]) {
        let field = |name: &str, value: &str| {
            format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let mut body =
            field("session.id", &self.session) + &field("ajax", "upload") + &field("project", project);
        body += "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.zip\"\r\nContent-Type: \
                 application/zip\r\n\r\n";
        let body = [body.as_bytes(), zip, b"\r\n--B--\r\n"].concat();
        let answer = self.post("/manager", "multipart/form-data; boundary=B", &body);
        assert!(
            answer.contains("\"version\"") && !answer.contains("\"error\""),
            "{answer}"
        );
    }
}
