//! Azkaban's address in one spelling, so that two programs that mean the same server also write the same text.

/// Brings an address into the one spelling: `http(s)://host[:port][/path]`, host in lower case, no default port, no slash at
/// the end. The error is a clause for people; it never repeats credentials.
pub(super) fn normalise(text: &str) -> Result<String, String> {
    let text = text.trim();
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("it does not begin with http:// or https://".into());
    };
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => "80",
        "https" => "443",
        _ => return Err("it does not begin with http:// or https://".into()),
    };
    if rest.contains(['?', '#']) {
        return Err("it must not have a query or a fragment".into());
    }
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    if authority.contains('@') {
        return Err("it must not hold a user or a password; those have their own settings".into());
    }
    let (host, port) = split_port(authority)?;
    if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it has no host".into());
    }
    let host = host.to_ascii_lowercase();
    let path = path.trim_matches('/');
    let port = port
        .filter(|port| *port != default_port)
        .map_or_else(String::new, |port| format!(":{port}"));
    let slash = if path.is_empty() { "" } else { "/" };
    Ok(format!("{scheme}://{host}{port}{slash}{path}"))
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), String> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority[after_host..].find(':') else {
        return Ok((authority, None));
    };
    let (host, port) = authority.split_at(after_host + colon);
    let port = &port[1..];
    match port.parse::<u16>() {
        Ok(1..) => Ok((host, Some(port))),
        _ => Err(format!("its port {port:?} is not a number from 1 to 65535")),
    }
}

/// An address with everything before its last `@` taken away: for messages about one that cannot be used.
pub(super) fn without_secret(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => url.to_owned(),
    }
}

/// An address with its password masked and all else as it is.
pub(super) fn mask(url: &str) -> String {
    let masked = url.split_once("://").and_then(|(scheme, rest)| {
        let (user_info, host) = rest.rsplit_once('@')?;
        let user = user_info.split_once(':').map_or(user_info, |(user, _)| user);
        let secret = if user_info.contains(':') { ":***" } else { "" };
        Some(format!("{scheme}://{user}{secret}@{host}"))
    });
    masked.unwrap_or_else(|| without_secret(url))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_server_has_one_spelling() {
        for (given, meant) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("HTTP://Azkaban.Example:8081/", "http://azkaban.example:8081"),
            ("https://a:443//", "https://a"),
            ("http://a:80/Base/Path/", "http://a/Base/Path"),
            ("http://[::1]:8081", "http://[::1]:8081"),
            (" http://a ", "http://a"),
        ] {
            assert_eq!(normalise(given).as_deref(), Ok(meant), "{given}");
        }
    }

    #[test]
    fn what_is_no_address_is_told_without_secrets() {
        for bad in [
            "azkaban:8081",
            "ftp://a",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://a/?x=1",
        ] {
            assert!(normalise(bad).is_err(), "{bad}");
        }
        let error = normalise("http://me:s3cret@a").unwrap_err();
        assert!(!error.contains("s3cret"));
    }

    #[test]
    fn masking_hides_the_password_alone() {
        assert_eq!(
            mask("amqp://me:p@ss@rabbit:5672/%2f"),
            "amqp://me:***@rabbit:5672/%2f"
        );
        assert_eq!(mask("amqp://rabbit/x"), "amqp://rabbit/x");
        assert_eq!(mask("me:s3cret@rabbit"), "…@rabbit");
    }
}
