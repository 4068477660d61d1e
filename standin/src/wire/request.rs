//! A request as a servlet sees it: parameters of query and form in one list, multipart fields apart.

use std::net::IpAddr;

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, header};

use crate::wire::failure::Failure;
use crate::wire::multipart::{self, Part};
use crate::wire::urlencoded;

/// The largest urlencoded body Azkaban takes.
pub(crate) const FORM_MAX: usize = 10 << 20;

/// A request that was read whole.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) client: IpAddr,
    pub(crate) body: Bytes,
    headers: HeaderMap,
    params: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn new(parts: Parts, body: Bytes, client: IpAddr) -> Self {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let mut params: Vec<_> = urlencoded::parse(query.as_bytes()).collect();
        if is_form(&parts.headers) && matches!(parts.method, Method::POST | Method::PUT) {
            params.extend(urlencoded::parse(&body));
        }
        let path = urlencoded::decode(parts.uri.path().replace('+', "%2B").as_bytes());
        Self {
            method: parts.method,
            path,
            query,
            client,
            body,
            headers: parts.headers,
            params,
        }
    }

    /// A parameter; the query's comes before the form's.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.params
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.param(name).is_some()
    }

    /// A parameter whose absence ends the request.
    pub(crate) fn need(&self, name: &str) -> Result<&str, Failure> {
        self.param(name).ok_or_else(|| Failure::missing(name))
    }

    /// A number whose absence or form ends the request.
    pub(crate) fn need_int(&self, name: &str) -> Result<i32, Failure> {
        self.need(name).and_then(parse_int)
    }

    /// A number, or the default when it is absent or none.
    pub(crate) fn int_or(&self, name: &str, default: i32) -> i32 {
        self.param(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }

    /// Parameters `group[key]`, in the order given.
    pub(crate) fn group(&self, group: &str) -> Vec<(String, String)> {
        let prefix = format!("{group}[");
        let entry = |(name, value): &(String, String)| {
            let key = name.strip_prefix(&prefix)?;
            let end = key.char_indices().next_back().map_or(0, |(at, _)| at);
            Some((key[..end].to_owned(), value.clone()))
        };
        self.params.iter().filter_map(entry).collect()
    }

    pub(crate) fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A cookie's value.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self
            .headers
            .get_all(header::COOKIE)
            .into_iter()
            .filter_map(|value| value.to_str().ok());
        cookies.flat_map(|line| line.split(';')).find_map(|cookie| {
            let (key, value) = cookie.split_once('=')?;
            (key.trim() == name).then(|| value.trim().trim_matches('"'))
        })
    }

    /// The fields of a multipart body; `None` for any other body.
    pub(crate) fn multipart(&self) -> Option<Result<Fields, Failure>> {
        let kind = self.header(header::CONTENT_TYPE)?;
        let multipart = self.method == Method::POST && kind.to_ascii_lowercase().starts_with("multipart/");
        let failure = |error: multipart::MultipartError| {
            Failure::exception(
                "org.apache.commons.fileupload.FileUploadException",
                error.to_string(),
            )
        };
        multipart.then(|| multipart::parse(&self.body, kind).map(Fields).map_err(failure))
    }

    /// `http://host` for absolute redirects.
    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.header(header::HOST).unwrap_or("localhost"))
    }
}

/// Is the body a form?
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    kind.to_ascii_lowercase()
        .starts_with("application/x-www-form-urlencoded")
}

/// `Integer.parseInt`.
pub(crate) fn parse_int(text: &str) -> Result<i32, Failure> {
    text.parse().map_err(|_| Failure::number(text))
}

/// The fields of a multipart body; of two with one name the last counts.
#[derive(Debug)]
pub(crate) struct Fields(Vec<Part>);

impl Fields {
    pub(crate) fn part(&self, name: &str) -> Option<&Part> {
        self.0.iter().rev().find(|part| part.name == name)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.part(name).is_some()
    }

    /// A plain field; a file in its place ends the request, as Java's cast does.
    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.part(name) {
            Some(part) if part.file.is_some() => Err(Failure::cast(
                "org.apache.commons.fileupload.disk.DiskFileItem",
                "java.lang.String",
            )),
            part => Ok(part.map(Part::text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(uri: &str, cookie: &str, form: &'static str) -> Request {
        let builder = hyper::Request::post(uri).header("cookie", cookie);
        let builder = builder.header("content-type", "application/x-www-form-urlencoded; charset=UTF-8");
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        Request::new(
            parts,
            Bytes::from_static(form.as_bytes()),
            IpAddr::from([127, 0, 0, 1]),
        )
    }

    #[test]
    fn a_query_parameter_comes_before_the_same_in_the_form() {
        let request = request("/manager?a=1", "", "a=2&b=3&g[x]=4&g[y]=5&n=7");
        assert_eq!((request.param("a"), request.param("b")), (Some("1"), Some("3")));
        assert_eq!(
            request.group("g"),
            [("x".to_owned(), "4".to_owned()), ("y".to_owned(), "5".to_owned())]
        );
        assert_eq!((request.int_or("n", 0), request.int_or("a[", 9)), (7, 9));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let request = request("/", "x=1; azkaban.browser.session.id=abc; y=\"q\"", "");
        assert_eq!(request.cookie("azkaban.browser.session.id"), Some("abc"));
        assert_eq!((request.cookie("y"), request.cookie("z")), (Some("q"), None));
    }
}
