//! Answers for tests, in the form a real Azkaban 4.0.0 gives them.

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::Answer;
use crate::name::ProjectName;

pub(super) const LOGIN_PAGE: &str = "\n\n<!DOCTYPE html>\n<html lang=\"en\"><head><title>Azkaban Web Client\n</title></head>\
    <body><form id=\"login-form\" role=\"form\"><input type=\"password\" name=\"password\" id=\"password\"></form></body></html>";
pub(super) const ERROR_PAGE: &str = "<html>\n<head>\n<title>Error 500 Missing required parameter &apos;flow&apos;.</title>\n\
    </head>\n<body><h2>HTTP ERROR 500</h2>\n</body></html>";
pub(super) const OVERFLOW_PAGE: &str = "<html>\n<head>\n<title>Error 500 INTERNAL_SERVER_ERROR</title>\n</head>\n\
    <body><h2>HTTP ERROR 500</h2>\n<h3>Caused by:</h3><pre>java.lang.StackOverflowError\n\tat java.base/x\n</pre></body></html>";

pub(super) fn answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
    with(status, body, &[])
}

pub(super) fn with(status: u16, body: impl AsRef<[u8]>, headers: &[(&str, &str)]) -> Answer {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::try_from(*name).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        );
    }
    Answer {
        status,
        headers: map,
        body: Bytes::copy_from_slice(body.as_ref()),
    }
}

pub(super) fn p1() -> ProjectName {
    ProjectName::new("p1").unwrap()
}
