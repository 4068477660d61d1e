//! Whose trace something belongs to, as W3C writes it.

use std::fmt;

/// The header that carries it, in messages as in HTTP.
pub const TRACEPARENT: &str = "traceparent";
/// `00-` trace id `-` span id `-` flags.
const LENGTH: usize = 55;

/// A place in a trace: <https://www.w3.org/TR/trace-context/#traceparent-header>.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// Of these ids; `None` where one is zero, which means that there is none.
    #[must_use]
    pub fn of(trace_id: [u8; 16], span_id: [u8; 8], sampled: bool) -> Option<Self> {
        let fits = trace_id != [0; 16] && span_id != [0; 8];
        fits.then_some(Self {
            trace_id,
            span_id,
            sampled,
        })
    }

    /// The beginning of a new trace, sampled.
    #[must_use]
    pub fn fresh() -> Self {
        Self {
            trace_id: fresh_id(),
            span_id: fresh_id(),
            sampled: true,
        }
    }

    /// Another place in the same trace.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            span_id: fresh_id(),
            ..*self
        }
    }

    /// Reads a header. What is not exactly of version 00 is none: who wrote it may be anybody, and no work hangs on it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != LENGTH || &text[..3] != b"00-" || text[35] != b'-' || text[52] != b'-' {
            return None;
        }
        let [flags] = hex(&text[53..])?;
        Self::of(hex(&text[3..35])?, hex(&text[36..52])?, flags & 1 == 1)
    }

    /// The trace.
    #[must_use]
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span in it.
    #[must_use]
    pub fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (
            u128::from_be_bytes(self.trace_id),
            u64::from_be_bytes(self.span_id),
        );
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(self.sampled))
    }
}

/// By chance; never zero.
fn fresh_id<const N: usize>() -> [u8; N]
where
    [u8; N]: Default,
{
    let mut id = [0; N];
    while id == [0; N] {
        id.fill_with(rand::random);
    }
    id
}

/// Bytes in lower-case hex; capitals are not allowed in this header.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_standard_is_read_and_written() {
        let context = TraceContext::parse(EXAMPLE).unwrap();
        assert_eq!(context.trace_id()[..2], [0x4b, 0xf9]);
        assert_eq!(context.span_id()[6..], [0x02, 0xb7]);
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
        let unsampled = TraceContext::parse(&EXAMPLE.replace("-01", "-02")).unwrap();
        assert!(!unsampled.is_sampled());
        assert!(unsampled.to_string().ends_with("-00"));
    }

    #[test]
    fn what_is_no_context_is_none() {
        for bad in [
            "",
            "00",
            &EXAMPLE[..54],
            &format!("{EXAMPLE}0"),
            &format!("{EXAMPLE}-x"),
            &EXAMPLE.replacen("00-", "01-", 1),
            &EXAMPLE.replacen("00-", "ff-", 1),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &EXAMPLE.replace("4bf9", "4bg9"),
            &EXAMPLE.replace("-01", "-0x"),
            &EXAMPLE.replace("-00f", "_00f"),
            &EXAMPLE.replace("-01", "_01"),
            &EXAMPLE.replace("4bf", "4ä"),
            &"0".repeat(1 << 20),
        ] {
            assert_eq!(TraceContext::parse(bad), None, "{bad:.80}");
        }
    }

    #[test]
    fn a_child_is_in_the_same_trace_at_another_place() {
        let context = TraceContext::fresh();
        let child = context.child();
        assert_eq!(child.trace_id(), context.trace_id());
        assert_ne!(child.span_id(), context.span_id());
        assert!(context.is_sampled() && child.is_sampled());
        assert_ne!(TraceContext::fresh().trace_id(), context.trace_id());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>(), sampled: bool) {
            if let Some(context) = TraceContext::of(trace, span, sampled) {
                prop_assert_eq!(TraceContext::parse(&context.to_string()), Some(context));
            }
        }

        #[test]
        fn no_text_upsets_it(text in ".{0,80}") {
            let _ = TraceContext::parse(&text);
        }

        #[test]
        fn what_is_read_is_written_as_it_was(text in "00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]") {
            if let Some(context) = TraceContext::parse(&text) {
                prop_assert_eq!(context.to_string(), text);
            }
        }
    }
}
