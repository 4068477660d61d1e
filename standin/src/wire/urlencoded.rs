//! `application/x-www-form-urlencoded`, in queries and bodies.

/// Decodes `a=b&c=d`; a part without `=` is a name with an empty value.
pub(crate) fn parse(text: &[u8]) -> impl Iterator<Item = (String, String)> {
    text.split(|&byte| byte == b'&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (name, value) = match memchr::memchr(b'=', part) {
                Some(at) => (&part[..at], &part[at + 1..]),
                None => (part, &b""[..]),
            };
            (decode(name), decode(value))
        })
}

/// Decodes `+` and `%XX`; what is not valid stays as it is, bytes outside UTF-8 become U+FFFD.
pub(crate) fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => match tail
                .first_chunk::<2>()
                .and_then(|&[high, low]| Some(hex(high)? * 16 + hex(low)?))
            {
                Some(decoded) => {
                    bytes.push(decoded);
                    rest = &tail[2..];
                }
                None => bytes.push(byte),
            },
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_decoded() {
        let pairs: Vec<_> = parse(b"a=1&b=x+y%2Fz%C3%A4&c&=d&&e=%zz").collect();
        let expected = [("a", "1"), ("b", "x y/zä"), ("c", ""), ("", "d"), ("e", "%zz")];
        assert_eq!(
            pairs,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}
