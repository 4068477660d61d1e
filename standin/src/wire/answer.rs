//! Answers in the forms Azkaban gives them: JSON, bare text, pages, redirects with cookies, zips, Jetty's error page.

use bytes::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, EXPIRES, HeaderName, HeaderValue, LOCATION, SERVER,
    SET_COOKIE,
};
use hyper::{Response, StatusCode};

use crate::wire::json::Json;

/// What an answer means, for the statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// What was asked for.
    Ok,
    /// An error in Azkaban's words, whatever the status code.
    Refused,
    /// The session was missing or lost.
    Login,
    /// An exception: an HTML page.
    Failed,
}

impl Outcome {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Login => "login",
            Self::Failed => "failed",
        }
    }
}

/// An answer before it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) outcome: Outcome,
    pub(crate) body: Bytes,
    reason: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cookies: Vec<String>,
    /// The connection is cut instead of answering.
    pub(crate) cut: bool,
}

impl Answer {
    fn new(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let (headers, cookies) = (Vec::new(), Vec::new());
        Self {
            status,
            outcome: Outcome::Ok,
            body: body.into(),
            reason: None,
            headers,
            cookies,
            cut: false,
        }
    }

    /// Nothing, with 200: what Azkaban says to requests it has no branch for.
    pub(crate) fn empty() -> Self {
        Self::new(StatusCode::OK, Bytes::new())
    }

    /// `writeJSON`: pretty, with a content type. An `error` or a `status` of `error` in it counts as refused.
    pub(crate) fn json(json: &Json) -> Self {
        let mut answer = Self::new(StatusCode::OK, json.pretty());
        if let Json::Map(entries) = json {
            let error =
                |(key, value): &(_, Json)| key == "error" || key == "status" && *value == Json::from("error");
            if entries.iter().any(error) {
                answer.outcome = Outcome::Refused;
            }
        }
        answer.header(CONTENT_TYPE, "application/json")
    }

    /// Bare text without a content type.
    pub(crate) fn text(text: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, text)
    }

    /// A page for people.
    pub(crate) fn page(html: String) -> Self {
        Self::new(StatusCode::OK, html).header(CONTENT_TYPE, "text/html; charset=utf-8")
    }

    /// 302 to an absolute address.
    pub(crate) fn redirect(location: &str) -> Self {
        Self::new(StatusCode::FOUND, Bytes::new()).header(LOCATION, location)
    }

    /// A project's zip.
    pub(crate) fn zip(content: Bytes, file: &str) -> Self {
        Self::new(StatusCode::OK, content)
            .header(CONTENT_TYPE, "application/zip")
            .header(CONTENT_DISPOSITION, &format!("attachment; filename=\"{file}\""))
    }

    /// Jetty's error page; the reason also stands in the status line.
    pub(crate) fn error_page(status: StatusCode, path: &str, reason: &str, cause: &str) -> Self {
        let cause = match cause {
            "" => String::new(),
            cause => format!("<h3>Caused by:</h3><pre>{}\n</pre>\n", escape(cause)),
        };
        let (code, title, place) = (status.as_u16(), escape(reason), escape(path));
        let html = format!(
            "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=ISO-8859-1\"/>\n\
             <title>Error {code} {title}</title>\n</head>\n<body><h2>HTTP ERROR {code}</h2>\n\
             <p>Problem accessing {place}. Reason:\n<pre>    {title}</pre></p>{cause}<hr />\
             <i><small>Powered by Jetty://</small></i><br/>\n\n</body>\n</html>\n"
        );
        // The page is ISO-8859-1; other characters become question marks, as in Java.
        let latin: Vec<u8> = html
            .chars()
            .map(|char| u8::try_from(char).unwrap_or(b'?'))
            .collect();
        let mut answer = Self::new(status, latin)
            .header(CONTENT_TYPE, "text/html; charset=iso-8859-1")
            .header(CACHE_CONTROL, "must-revalidate,no-cache,no-store");
        answer.outcome = Outcome::Failed;
        answer.reason = Some(reason.to_owned());
        answer
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    pub(crate) fn reason(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Self {
        let clean: Vec<u8> = value
            .bytes()
            .map(|byte| if byte < 0x20 || byte == 0x7f { b' ' } else { byte })
            .collect();
        if let Ok(value) = HeaderValue::from_bytes(&clean) {
            self.headers.push((name, value));
        }
        self
    }

    /// Sets a header that may be there already.
    pub(crate) fn replace_header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.header(name, value)
    }

    /// `Set-Cookie: name=value;Path=/`; values with blanks or marks are quoted.
    pub(crate) fn cookie(mut self, name: &str, value: &str) -> Self {
        let plain = value
            .chars()
            .all(|char| char.is_ascii_alphanumeric() || "-_.:/@()*!~".contains(char));
        let value = if plain { value.to_owned() } else { quoted(value) };
        self.cookies.push(format!("{name}={value};Path=/"));
        self
    }

    /// Adds text to the end.
    pub(crate) fn push(mut self, text: &str) -> Self {
        self.body = [&self.body[..], text.as_bytes()].concat().into();
        self
    }

    /// Cuts the connection instead of answering.
    pub(crate) fn cut() -> Self {
        Self {
            cut: true,
            outcome: Outcome::Failed,
            ..Self::empty()
        }
    }

    pub(crate) fn into_response(mut self) -> Response<http_body_util::Full<Bytes>> {
        if !self.cookies.is_empty() {
            self = self.header(EXPIRES, "Thu, 01-Jan-1970 00:00:00 GMT");
            for cookie in std::mem::take(&mut self.cookies) {
                self = self.header(SET_COOKIE, &cookie);
            }
        }
        let mut response = Response::new(http_body_util::Full::new(self.body));
        *response.status_mut() = self.status;
        response
            .headers_mut()
            .insert(SERVER, HeaderValue::from_static("Jetty(6.1.26)"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        let ascii = |reason: String| reason.replace(|char: char| !matches!(char, ' '..='~'), "?");
        if let Some(reason) = self
            .reason
            .and_then(|reason| ReasonPhrase::try_from(ascii(reason)).ok())
        {
            response.extensions_mut().insert(reason);
        }
        response
    }
}

fn quoted(value: &str) -> String {
    let mut out = String::from('"');
    for char in value.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    if out.len() == 2 { String::new() } else { out }
}

/// HTML-escapes as Jetty's `StringUtil` does on error pages.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_quoted_where_needed() {
        let cookie = |value| Answer::empty().cookie("c", value).cookies.remove(0);
        assert_eq!(cookie("a7287d01-d2cc"), "c=a7287d01-d2cc;Path=/");
        assert_eq!(cookie(""), "c=;Path=/");
        assert_eq!(cookie("Project 'p' \"x\""), "c=\"Project 'p' \\\"x\\\"\";Path=/");
    }

    #[test]
    fn line_breaks_cannot_leave_a_header() {
        let response = Answer::empty().cookie("c", "a\r\nX: y").into_response();
        assert_eq!(response.headers()[SET_COOKIE], "c=\"a\\r\\nX: y\";Path=/");
    }
}
