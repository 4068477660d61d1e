//! A consumer's name, held by one live consumer of the vhost at a time.
//!
//! Shards hang on the name: two consumers of one name would weigh the same everywhere, and the broker would give all to one
//! of them without a word. So a name is claimed by an exclusive queue, which the broker deletes with its owner's connection.
//! A claim lives as long as the link it was made on; after a lost connection it is made again.

use std::time::Duration;

use flowlift_common::amqp::{AmqpError, Link, lock};
use flowlift_common::topology::NAME_PREFIX;
use tokio::time::{Instant, sleep};

/// The longest name in bytes: with its prefix it is a queue's name, which may have 255.
const LONGEST: usize = 100;
/// How many numbers are tried after a host name.
const NUMBERS: u32 = 1_000;
/// The broker needs a moment to clear the claim of a process that was just killed and started again.
const JUST_DIED: Duration = Duration::from_secs(1);
/// Between two tries of a name that is held.
const PAUSE: Duration = Duration::from_millis(250);

/// Why there is no name.
#[derive(Debug, thiserror::Error)]
pub enum NameError {
    /// The name cannot be a queue's.
    #[error("{name:?} cannot be a consumer's name: {reason}")]
    Unusable {
        /// The name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Somebody else has it.
    #[error(
        "the name {name} is held by another live consumer of this vhost; choose another --name or leave --name away"
    )]
    Taken {
        /// The name.
        name: String,
    },
    /// RabbitMQ did not answer the question.
    #[error(transparent)]
    Amqp(#[from] AmqpError),
}

impl NameError {
    /// The exit code that cli.md gives this.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unusable { .. } => 64,
            Self::Taken { .. } => 78,
            Self::Amqp(error) => error.exit_code(),
        }
    }

    /// Whether trying again later can help without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Amqp(error) if error.is_transient())
    }
}

/// A claimed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub text: String,
    /// The host name it was numbered from; none where a person gave the name.
    host: Option<String>,
}

impl Name {
    /// Whether a person gave it.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.host.is_none()
    }
}

/// Checks a name that a person gives.
///
/// # Errors
/// [`NameError::Unusable`].
pub fn check(name: &str) -> Result<(), NameError> {
    let reason = if name.trim().is_empty() {
        "it is empty".to_owned()
    } else if name.len() > LONGEST {
        format!("it has {} bytes, at most {LONGEST} are allowed", name.len())
    } else if name.chars().any(char::is_control) {
        "it contains a control character".to_owned()
    } else {
        return Ok(());
    };
    Err(NameError::Unusable {
        name: name.chars().take(LONGEST).collect(),
        reason,
    })
}

/// Claims the wished name, or `host-1`, `host-2`, ... whichever is free first.
///
/// # Errors
/// [`NameError::Taken`] when the wished name is another's; [`NameError::Unusable`]; [`NameError::Amqp`].
pub async fn claim(link: &Link, wish: Option<&str>, host: &str) -> Result<Name, NameError> {
    match wish {
        Some(wish) => {
            check(wish)?;
            insist(link, wish, JUST_DIED).await?;
            Ok(Name {
                text: wish.to_owned(),
                host: None,
            })
        }
        None => number(link, &base(host)).await,
    }
}

/// Claims a name again on a new connection, so that its shards come back. The broker may hold our dead connection's claim
/// for two heartbeats: so long `patience` should be. After it, a numbered name gives way to the next free number.
///
/// # Errors
/// [`NameError::Taken`] when a given name is still held after `patience`; [`NameError::Amqp`].
pub async fn claim_again(link: &Link, name: &Name, patience: Duration) -> Result<Name, NameError> {
    match (insist(link, &name.text, patience).await, &name.host) {
        (Ok(()), _) => Ok(name.clone()),
        (Err(NameError::Taken { .. }), Some(host)) => number(link, host).await,
        (Err(error), _) => Err(error),
    }
}

async fn number(link: &Link, host: &str) -> Result<Name, NameError> {
    for number in 1..=NUMBERS {
        let text = format!("{host}-{number}");
        if take(link, &text).await? {
            return Ok(Name {
                text,
                host: Some(host.to_owned()),
            });
        }
    }
    Err(NameError::Taken {
        name: format!("{host}-{NUMBERS}"),
    })
}

/// What a host is called, cut down to what a name may be.
fn base(host: &str) -> String {
    let mut base = String::new();
    for c in host.chars().filter(|c| !c.is_control() && !c.is_whitespace()) {
        // leaves room for the number
        if base.len() + c.len_utf8() + 5 > LONGEST {
            break;
        }
        base.push(c);
    }
    if base.is_empty() { "consumer".into() } else { base }
}

async fn insist(link: &Link, name: &str, patience: Duration) -> Result<(), NameError> {
    let end = Instant::now() + patience;
    while !take(link, name).await? {
        if Instant::now() >= end {
            return Err(NameError::Taken {
                name: name.to_owned(),
            });
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

/// Tries once; whether the name is ours now.
async fn take(link: &Link, name: &str) -> Result<bool, AmqpError> {
    lock(link, &format!("{NAME_PREFIX}{name}")).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_printable() {
        for good in ["night-1", "büro 7", &"n".repeat(LONGEST)] {
            assert!(check(good).is_ok(), "{good}");
        }
        let refusal = |name: &str| check(name).unwrap_err().to_string();
        assert_eq!(refusal(" "), "\" \" cannot be a consumer's name: it is empty");
        assert_eq!(
            refusal("a\nb"),
            "\"a\\nb\" cannot be a consumer's name: it contains a control character"
        );
        assert!(refusal(&"ä".repeat(51)).ends_with("it has 102 bytes, at most 100 are allowed"));
    }

    #[test]
    fn any_host_name_makes_a_name_that_can_be_numbered() {
        assert_eq!(base("rack-7.example"), "rack-7.example");
        assert_eq!(base("\n "), "consumer");
        for host in ["h".repeat(300), "ä".repeat(300), "\u{7}x".repeat(99)] {
            assert!(check(&format!("{}-{NUMBERS}", base(&host))).is_ok());
        }
    }

    #[test]
    fn each_refusal_has_its_exit_code() {
        assert_eq!(check("").unwrap_err().exit_code(), 64);
        let taken = NameError::Taken { name: "a".into() };
        assert_eq!((taken.exit_code(), taken.is_transient()), (78, false));
        let lost = NameError::from(AmqpError::Lost("x".into()));
        assert_eq!((lost.exit_code(), lost.is_transient()), (69, true));
    }
}
