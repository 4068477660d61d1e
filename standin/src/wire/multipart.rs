//! `multipart/form-data` bodies, read as commons-fileupload 1.2.1 does: the whole body first, then its parts.

use bytes::Bytes;
use memchr::memmem;

/// One part of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// The field's name.
    pub(crate) name: String,
    /// The file's name; a part without one is a plain field.
    pub(crate) file: Option<String>,
    /// The part's own content type.
    pub(crate) content_type: Option<String>,
    /// What it holds.
    pub(crate) content: Bytes,
}

impl Part {
    /// A plain field's text; without a charset bytes are ISO-8859-1, as in Azkaban.
    pub(crate) fn text(&self) -> String {
        let utf8 = self
            .content_type
            .as_deref()
            .is_some_and(|kind| kind.to_ascii_lowercase().contains("utf-8"));
        match std::str::from_utf8(&self.content) {
            Ok(text) if utf8 || text.is_ascii() => text.to_owned(),
            _ => self.content.iter().map(|&byte| char::from(byte)).collect(),
        }
    }
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MultipartError {
    #[error("the request was rejected because no multipart boundary was found")]
    NoBoundary,
    #[error("Stream ended unexpectedly")]
    Ended,
    #[error("Processing of multipart/form-data request failed. Stream ended unexpectedly")]
    EndedInPart,
}

/// The boundary of a `multipart/...` content type.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    content_type.split([';', ',']).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty()).then_some(value)
    })
}

/// Splits a body into its parts. Parts without a field name are skipped; a body without any delimiter has none.
pub(crate) fn parse(body: &Bytes, content_type: &str) -> Result<Vec<Part>, MultipartError> {
    let boundary = boundary(content_type).ok_or(MultipartError::NoBoundary)?;
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    let finder = memmem::Finder::new(&delimiter);
    // The first delimiter may stand at the very start, without a line break before it.
    let mut at = match (body.starts_with(&delimiter[2..]), finder.find(body)) {
        (true, _) => delimiter.len() - 2,
        (false, Some(found)) => found + delimiter.len(),
        (false, None) => return Ok(Vec::new()),
    };
    let mut parts = Vec::new();
    loop {
        match body.get(at..).unwrap_or_default() {
            [b'\r', b'\n', ..] => at += 2,
            [b'\n', _, ..] => at += 1,
            // The end, or anything else: what follows is not looked at.
            _ => return Ok(parts),
        }
        // Headers end at the next empty line, wherever that is.
        let start = at + memmem::find(&body[at..], b"\r\n\r\n").ok_or(MultipartError::Ended)? + 4;
        let end = start + finder.find(&body[start..]).ok_or(MultipartError::EndedInPart)?;
        parts.extend(part(&body[at..start], body.slice(start..end)));
        at = end + delimiter.len();
    }
}

/// Reads the headers of one part.
fn part(head: &[u8], content: Bytes) -> Option<Part> {
    // A line that starts with a blank goes on where the last one ended.
    let head = String::from_utf8_lossy(head)
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    let header = |name: &str| {
        head.split("\r\n").find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let disposition = header("content-disposition")?;
    if !disposition.to_ascii_lowercase().starts_with("form-data") {
        return None;
    }
    let name = attribute(disposition, "name")?;
    let content_type = header("content-type").map(str::to_owned);
    Some(Part {
        name,
        file: attribute(disposition, "filename"),
        content_type,
        content,
    })
}

/// One attribute of a disposition, `name="value"` or `name=value`; `\"` in a quoted value is a quote.
fn attribute(disposition: &str, wanted: &str) -> Option<String> {
    let mut rest = disposition.split_once(';')?.1;
    loop {
        let (name, tail) = rest.split_once('=')?;
        let (value, tail) = match tail.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => {
                let end = tail.find(';').unwrap_or(tail.len());
                (tail[..end].trim().to_owned(), &tail[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = tail.trim_start().strip_prefix(';')?;
    }
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &text[at + 1..]),
            '\\' if text[at + 1..].starts_with(['"', '\\']) => {
                value.extend(chars.next().map(|(_, char)| char));
            }
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TYPE: &str = "multipart/form-data; boundary=XX";

    fn read(body: &str) -> Result<Vec<Part>, MultipartError> {
        parse(&Bytes::copy_from_slice(body.as_bytes()), TYPE)
    }

    #[test]
    fn fields_and_files_are_told_apart_by_the_file_name() {
        let body = "--XX\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n2\r\n--XX\r\ncontent-disposition: \
                    form-data; name=file; filename=\"x \\\"y\\\".zip\"\r\nContent-Type: application/zip\r\n\r\n\r\n--XX--\r\n";
        let parts = read(body).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[0].name.as_str(), parts[0].text().as_str(), &parts[0].file),
            ("a", "1\r\n2", &None)
        );
        assert_eq!(parts[1].file.as_deref(), Some("x \"y\".zip"));
        assert_eq!(parts[1].content_type.as_deref(), Some("application/zip"));
        assert!(parts[1].content.is_empty());
    }

    #[test]
    fn a_body_that_breaks_off_is_refused() {
        let part = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1";
        for (body, error) in [
            ("--XX\r\n", MultipartError::Ended),
            (
                "--XX\r\nContent-Disposition: form-data; name=a",
                MultipartError::Ended,
            ),
            (part, MultipartError::EndedInPart),
        ] {
            assert_eq!(read(body), Err(error), "{body:?}");
        }
        assert_eq!(
            parse(&Bytes::new(), "multipart/form-data"),
            Err(MultipartError::NoBoundary)
        );
        assert_eq!(
            read(&format!("{part}\r\n--XX")).unwrap().len(),
            1,
            "the last two dashes are not missed"
        );
        for body in ["", "no delimiter", "--XX", "--XX--", "--XXY\r\n"] {
            assert_eq!(read(body), Ok(Vec::new()), "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let whole = [b"--XX\r\n", body.as_slice()].concat();
            let _ = parse(&Bytes::from(whole), TYPE);
            let _ = parse(&Bytes::from(body), TYPE);
        }

        #[test]
        fn what_is_written_is_read_back(fields in proptest::collection::vec(("[a-z]{1,8}", "[^\u{0}]{0,40}"), 0..6)) {
            let mut body = String::new();
            for (name, value) in &fields {
                body += &format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\nContent-Type: text/plain; \
                                  charset=utf-8\r\n\r\n{value}\r\n");
            }
            body += "--XX--\r\n";
            let parts = read(&body).unwrap();
            let read: Vec<_> = parts.iter().map(|part| (part.name.clone(), part.text())).collect();
            prop_assert_eq!(read, fields);
        }
    }
}
