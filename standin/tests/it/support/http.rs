//! HTTP/1.1 by hand: one request per connection, nothing followed, nothing kept.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) reason: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// A header's value, by its lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// A cookie that is set, as it is written.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.iter().filter(|(known, _)| known == "set-cookie");
        cookies
            .filter_map(|(_, value)| value.split_once('='))
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What an HTML page calls itself.
    pub(crate) fn title(&self) -> String {
        let text = self.text();
        let start = text.find("<title>").expect("a page has a title") + "<title>".len();
        let end = start + text[start..].find("</title>").expect("the title ends");
        text[start..end].trim().to_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A request as it goes out.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: &'static str,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, kind: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("Content-Type", kind)
    }

    /// An urlencoded form.
    pub(crate) fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        Self::new("POST", target).body("application/x-www-form-urlencoded", encode(fields))
    }

    /// A multipart form.
    pub(crate) fn multipart(target: &str, parts: &[Part<'_>]) -> Self {
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(part.head().as_bytes());
            body.extend_from_slice(part.content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--XbX--\r\n");
        Self::new("POST", target).body("multipart/form-data; boundary=XbX", body)
    }

    /// The request's bytes.
    pub(crate) fn bytes(&self, addr: SocketAddr) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {addr}\r\n", self.method, self.target);
        if !self.headers.iter().any(|(name, _)| name == "Connection") {
            head += "Connection: close\r\n";
        }
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        [head.as_bytes(), &self.body].concat()
    }

    pub(crate) async fn send(&self, addr: SocketAddr) -> Reply {
        let mut stream = TcpStream::connect(addr).await.expect("the server listens");
        stream
            .write_all(&self.bytes(addr))
            .await
            .expect("the server reads");
        let mut raw = Vec::new();
        stream.read_to_end(&mut raw).await.expect("the server answers");
        count_answer();
        parse(&raw).unwrap_or_else(|| {
            panic!(
                "no answer to {} {}: {:?}",
                self.method,
                self.target,
                String::from_utf8_lossy(&raw)
            )
        })
    }
}

/// A byte for each answer in the file that `CONTRACT_ANSWERS` names, so that they can be counted.
fn count_answer() {
    let Some(file) = std::env::var_os("CONTRACT_ANSWERS") else {
        return;
    };
    let file = std::fs::OpenOptions::new().append(true).create(true).open(file);
    std::io::Write::write_all(&mut file.expect("CONTRACT_ANSWERS can be written"), b".").unwrap();
}

/// One part of a multipart form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    name: &'a str,
    file: Option<&'a str>,
    kind: Option<&'a str>,
    content: &'a [u8],
}

impl<'a> Part<'a> {
    pub(crate) fn field(name: &'a str, value: &'a str) -> Self {
        Self {
            name,
            file: None,
            kind: None,
            content: value.as_bytes(),
        }
    }

    pub(crate) fn file(name: &'a str, file: &'a str, kind: Option<&'a str>, content: &'a [u8]) -> Self {
        Self {
            name,
            file: Some(file),
            kind,
            content,
        }
    }

    fn head(&self) -> String {
        let file = self
            .file
            .map_or(String::new(), |file| format!("; filename=\"{file}\""));
        let kind = self
            .kind
            .map_or(String::new(), |kind| format!("\r\nContent-Type: {kind}"));
        format!(
            "--XbX\r\nContent-Disposition: form-data; name=\"{}\"{file}{kind}\r\n\r\n",
            self.name
        )
    }
}

/// `a=b&c=d`, everything unusual escaped.
pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    fields
        .iter()
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// Takes an answer apart; `None` when there is none.
pub(crate) fn parse(raw: &[u8]) -> Option<Reply> {
    let end = raw.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&raw[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let (status, reason) = lines.next()?.strip_prefix("HTTP/1.1 ")?.split_once(' ')?;
    let header = |line: &str| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
    };
    let headers: Vec<_> = lines.filter_map(header).collect();
    let body = &raw[end + 4..];
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if chunked { unchunk(body)? } else { body.to_vec() };
    Some(Reply {
        status: status.parse().ok()?,
        reason: reason.to_owned(),
        headers,
        body,
    })
}

fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|two| two == b"\r\n")?;
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).ok()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(line + 2..line + 2 + size)?);
        rest = rest.get(line + 4 + size..)?;
    }
}
