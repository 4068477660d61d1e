//! A piece of work that is over, as it is told to a collector.

use super::TraceContext;

/// Something that took its time, with what it was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// What was done, in few words that do not depend on what with.
    pub name: &'static str,
    /// Its side of the work.
    pub kind: Kind,
    /// Its own place in a trace, where that was told others already; else it gets one below its parent.
    pub context: Option<TraceContext>,
    /// What it goes back to, in another program.
    pub parent: Option<TraceContext>,
    /// When it began, µs since 1970.
    pub begun_us: u64,
    /// When it was over, µs since 1970.
    pub ended_us: u64,
    /// What is to be known about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What else it goes back to.
    pub links: Vec<TraceContext>,
    /// Why it failed.
    pub error: Option<String>,
    /// What it was made of.
    pub children: Vec<Span>,
}

impl Span {
    /// One that began and ended then.
    #[must_use]
    pub fn new(name: &'static str, begun_us: u64, ended_us: u64) -> Self {
        Self {
            name,
            kind: Kind::Internal,
            context: None,
            parent: None,
            begun_us,
            // a clock that was set back must not make a span that ends before it begins
            ended_us: ended_us.max(begun_us),
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
            children: Vec::new(),
        }
    }

    /// With something to be known about it.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// Itself and all it was made of.
    #[must_use]
    pub fn size(&self) -> usize {
        1 + self.children.iter().map(Self::size).sum::<usize>()
    }
}

/// Whose side a piece of work is, in OpenTelemetry's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nobody else has to do with it.
    Internal,
    /// It sends messages.
    Producer,
    /// It works off messages.
    Consumer,
    /// It asks another program.
    Client,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_back_makes_no_span_that_ends_before_it_begins() {
        assert_eq!(Span::new("x", 10, 7).ended_us, 10);
    }

    #[test]
    fn a_number_too_large_is_the_largest() {
        assert_eq!(Value::from(u64::MAX), Value::Number(i64::MAX));
        assert_eq!(Value::from(7), Value::Number(7));
    }
}
