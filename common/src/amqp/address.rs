//! RabbitMQ's address: `amqp(s)://user:password@host:port,host,host/vhost?query`. The hosts are nodes of one cluster; all
//! else is common to them.

use std::path::PathBuf;

use lapin::uri::AMQPUri;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::tls::Files;

/// An address that can be read.
pub(crate) struct Address {
    nodes: Vec<AMQPUri>,
    files: Files,
}

impl Address {
    /// Reads one. The error is a clause for people that repeats nothing of the address but its hosts.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("it does not begin with amqp:// or amqps://".into());
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(_, hosts)| {
            authority.split_at(authority.len() - hosts.len())
        });
        let several = hosts.contains(',');
        let nodes = hosts.split(',').map(|host| {
            if several && host.is_empty() {
                return Err("there is nothing between two commas of its hosts".to_owned());
            }
            let mut node: AMQPUri = format!("{scheme}://{user}{host}{path}").parse()?;
            // lapin takes an IPv6 address for no host at all
            if let Some(end) = host.find(']') {
                node.authority.host = host[..=end].to_owned();
            }
            Ok(node)
        });
        Ok(Self {
            nodes: nodes.collect::<Result<_, String>>()?,
            files: files(path)?,
        })
    }

    /// All nodes once, beginning with the one that `start` falls on.
    pub(crate) fn from(&self, start: usize) -> impl Iterator<Item = &AMQPUri> {
        let all = self.nodes.len();
        self.nodes.iter().cycle().skip(start % all.max(1)).take(all)
    }

    /// The files that the query names.
    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    /// For people: host:port,host:port/vhost, without user and password.
    pub(crate) fn label(&self) -> String {
        let hosts: Vec<String> = self.nodes.iter().map(host).collect();
        let vhost = self.nodes.first().map(vhost).unwrap_or_default();
        format!("{}{vhost}", hosts.join(","))
    }
}

fn files(path: &str) -> Result<Files, String> {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let query = query.split('#').next().unwrap_or_default();
    let mut files = Files::default();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let place = match key {
            CA => &mut files.ca,
            CERT => &mut files.cert,
            KEY => &mut files.key,
            _ => continue,
        };
        let text = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| format!("its {key} is no path"))?;
        *place = Some(PathBuf::from(text.as_ref()));
    }
    Ok(files)
}

/// The words of the query, as RabbitMQ's own clients read them.
const CA: &str = "cacertfile";
const CERT: &str = "certfile";
const KEY: &str = "keyfile";

/// What settings of their own add to an address.
#[derive(Default)]
pub(crate) struct Additions<'a> {
    /// In place of the address's password.
    pub(crate) password: Option<&'a str>,
    /// In place of the files of its query.
    pub(crate) files: Files,
}

/// The address with these additions.
pub(crate) fn complete(url: &str, additions: &Additions<'_>) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let authority = match additions.password {
        Some(password) => {
            let (user_info, hosts) = authority.rsplit_once('@').unwrap_or(("guest", authority));
            let user = user_info.split(':').next().unwrap_or_default();
            format!(
                "{user}:{}@{hosts}",
                utf8_percent_encode(password, NON_ALPHANUMERIC)
            )
        }
        None => authority.to_owned(),
    };
    let Files { ca, cert, key } = &additions.files;
    let mut complete = format!("{scheme}://{authority}{path}");
    for (name, file) in [(CA, ca), (CERT, cert), (KEY, key)] {
        if let Some(file) = file {
            let sign = if complete.contains('?') { '&' } else { '?' };
            let text = file.to_string_lossy();
            complete += &format!("{sign}{name}={}", utf8_percent_encode(&text, NON_ALPHANUMERIC));
        }
    }
    complete
}

/// Whether an address holds a password.
pub(crate) fn holds_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())];
    authority
        .rsplit_once('@')
        .is_some_and(|(user_info, _)| user_info.contains(':'))
}

/// One node for people: host:port/vhost.
pub(super) fn label(node: &AMQPUri) -> String {
    format!("{}{}", host(node), vhost(node))
}

fn host(node: &AMQPUri) -> String {
    format!("{}:{}", node.authority.host, node.authority.port)
}

fn vhost(node: &AMQPUri) -> String {
    let name = node.vhost.as_str();
    if name == "/" {
        name.to_owned()
    } else {
        format!("/{name}")
    }
}

/// Takes whatever stands before the last `@` away: it may hold a password.
pub(super) fn without_secret(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        (None, Some((_, host))) => format!("…@{host}"),
        _ => url.to_owned(),
    }
}

/// The broker of an address for people: host:port/vhost, without user and password; the text itself where it is none.
#[must_use]
pub fn broker_label(url: &str) -> String {
    Address::parse(url).map_or_else(|_| without_secret(url), |address| address.label())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(text: &str) -> Vec<String> {
        Address::parse(text).unwrap().nodes.iter().map(label).collect()
    }

    #[test]
    fn several_hosts_share_all_else() {
        let text = "amqps://me:p%40ss@rabbit-1:5673,rabbit-2,[::1]:5674/night?heartbeat=7";
        assert_eq!(
            hosts(text),
            ["rabbit-1:5673/night", "rabbit-2:5671/night", "[::1]:5674/night"]
        );
        for node in Address::parse(text).unwrap().from(0) {
            let user = &node.authority.userinfo;
            assert_eq!((user.username.as_str(), user.password.as_str()), ("me", "p@ss"));
            assert_eq!(node.query.heartbeat, Some(7));
        }
        assert_eq!(hosts("amqp://a,b"), ["a:5672/", "b:5672/"]);
        assert_eq!(hosts("amqp:///%2f"), ["localhost:5672/"]);
    }

    #[test]
    fn all_are_tried_once_whatever_comes_first() {
        let address = Address::parse("amqp://a,b,c/%2f").unwrap();
        let order = |start| {
            address
                .from(start)
                .map(|node| node.authority.host.clone())
                .collect::<String>()
        };
        assert_eq!((order(0), order(2)), ("abc".to_owned(), "cab".to_owned()));
        assert_eq!(order(usize::MAX).len(), 3);
    }

    #[test]
    fn what_is_no_address_is_told_without_its_secrets() {
        for bad in [
            "rabbit:5672",
            "http://me:s3cret@a",
            "amqp://me:s3cret@a,,b",
            "amqp://me:s3cret@a,",
            "amqp://me:s3cret@a:x,b",
            "amqp://me:s3cret@a,b:70000",
            "amqp://me:s3cret@a?heartbeat=x",
        ] {
            let reason = Address::parse(bad).err().unwrap_or_default();
            assert!(
                !reason.is_empty() && !reason.contains("s3cret"),
                "{bad}: {reason}"
            );
        }
    }

    #[test]
    fn what_settings_add_to_an_address_can_be_read_from_it() {
        let files = Files {
            ca: Some("/etc/ca &+%.pem".into()),
            cert: Some("/c".into()),
            key: Some("/k".into()),
        };
        let additions = Additions {
            password: Some("p@s/s:w,o%rd"),
            files: files.clone(),
        };
        for url in [
            "amqps://me@a,b/%2f",
            "amqps://me:old@a,b:5671/%2f?heartbeat=3",
            "amqps://me:@a",
        ] {
            let complete = complete(url, &additions);
            let address = Address::parse(&complete).unwrap();
            assert_eq!(address.files(), &files, "{complete}");
            let user = &address.nodes[0].authority.userinfo;
            assert_eq!(
                (user.username.as_str(), user.password.as_str()),
                ("me", "p@s/s:w,o%rd")
            );
        }
        assert_eq!(
            complete("amqp://me:x@a/%2f", &Additions::default()),
            "amqp://me:x@a/%2f"
        );
        assert!(holds_password("amqp://me:x@a") && !holds_password("amqp://me@a:1/:@"));
    }

    #[test]
    fn no_password_reaches_a_label() {
        assert_eq!(broker_label("amqp://me:s3cret@rabbit:5673/%2f"), "rabbit:5673/");
        assert_eq!(
            broker_label("amqps://me:s3cret@rabbit,other:1/night"),
            "rabbit:5671,other:1/night"
        );
        assert_eq!(broker_label("http//me:s3cret@rabbit"), "…@rabbit");
    }
}
