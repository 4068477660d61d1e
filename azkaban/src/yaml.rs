//! YAML as a tree with line numbers. Scalars keep the text they are written with, because that is what Azkaban's reader
//! (SnakeYAML, into beans of strings) makes of `1.50`, `yes` or `0x1F`.

use std::collections::HashMap;
use std::sync::Arc;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

/// The most nodes of one file, aliased ones counted each time: guards against a few lines that unfold to billions.
const NODES_MAX: usize = 2_000_000;

/// What the parser says of lists and mappings within each other, too many for any reader's stack.
const TOO_DEEP: &str = "recursion limit exceeded";

/// One node.
#[derive(Debug, Clone)]
pub(crate) struct Yaml {
    /// What it holds.
    pub value: Value,
    /// Its explicit tag, for example `tag:yaml.org,2002:str`.
    pub tag: Option<String>,
    /// The line it starts on, counted from 1.
    pub line: usize,
    /// The nodes in it, itself included.
    size: usize,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    /// Text; `plain` when written without quotes.
    Scalar {
        /// The text after escapes and folding.
        text: String,
        /// Written without quotes, so its looks decide its type.
        plain: bool,
    },
    /// A sequence.
    List(Vec<Arc<Yaml>>),
    /// A mapping in written order, `<<` already merged in.
    Map(Vec<(Arc<Yaml>, Arc<Yaml>)>),
}

/// A file that is no YAML, or too much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// What is wrong, in Azkaban's words where they are known.
    pub message: String,
    /// The same in ours: a clause.
    pub reason: String,
    /// Where, counted from 1.
    pub line: Option<usize>,
}

impl YamlError {
    /// Azkaban's reader runs out of stack: no error to be reported, but the end of the upload.
    pub(crate) fn is_overflow(&self) -> bool {
        self.message == TOO_DEEP
    }
}

impl Yaml {
    /// The text of a scalar; `None` for others and for null.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// `~`, `null`, or nothing at all.
    pub(crate) fn is_null(&self) -> bool {
        let Value::Scalar { text, plain } = &self.value else {
            return false;
        };
        match self.tag.as_deref() {
            None => *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"),
            Some(tag) => tag == "tag:yaml.org,2002:null",
        }
    }
}

/// Reads the only document of a file; `None` when there is none.
pub(crate) fn read(bytes: &[u8]) -> Result<Option<Arc<Yaml>>, YamlError> {
    let text = std::str::from_utf8(bytes).map_err(|error| YamlError {
        message: "java.nio.charset.MalformedInputException: Input length = 1".to_owned(),
        reason: "the file is not written in UTF-8".to_owned(),
        line: Some(line_at(bytes, error.valid_up_to())),
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(at) = text.find(|c| !is_printable(c)) {
        let message = "special characters are not allowed".to_owned();
        let reason =
            "the file has a control character, which must be written as an escape in quotes".to_owned();
        return Err(YamlError {
            message,
            reason,
            line: Some(line_at(text.as_bytes(), at)),
        });
    }
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        budget: NODES_MAX,
    };
    builder.document()
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The characters SnakeYAML takes.
fn is_printable(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..)
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Arc<Yaml>>,
    budget: usize,
}

impl Builder<'_> {
    fn document(&mut self) -> Result<Option<Arc<Yaml>>, YamlError> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(root),
                (Event::DocumentStart(..), span) => {
                    if root.is_some() {
                        let message = "expected a single document in the stream\nbut found another document";
                        return Err(error(message, span));
                    }
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span)?);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'static>, Span), YamlError> {
        loop {
            match self.parser.next() {
                None => return Ok((Event::StreamEnd, Span::default())),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((owned(event), span)),
                Some(Err(error)) => return Err(scan_error(&error)),
            }
        }
    }

    fn node(&mut self, event: Event<'static>, span: Span) -> Result<Arc<Yaml>, YamlError> {
        let (anchor, tag, value) = match event {
            Event::Alias(id) => {
                let target = self.anchors.get(&id).map(Arc::clone);
                let target = target.ok_or_else(|| error("found recursive or unknown alias", span))?;
                self.spend(target.size, span)?;
                return Ok(target);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                (
                    anchor,
                    tag,
                    Value::Scalar {
                        text: text.into_owned(),
                        plain,
                    },
                )
            }
            Event::SequenceStart(_, anchor, tag) => (anchor, tag, self.list()?),
            Event::MappingStart(_, anchor, tag) => (anchor, tag, self.map()?),
            _ => return Err(error("did not find expected node content", span)),
        };
        self.spend(1, span)?;
        let size = 1 + match &value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(|item| item.size).sum(),
            Value::Map(pairs) => pairs.iter().map(|(key, value)| key.size + value.size).sum(),
        };
        let node = Arc::new(Yaml {
            value,
            tag: tag.map(|tag| full_name(&tag)),
            line: span.start.line(),
            size,
        });
        if anchor > 0 {
            self.anchors.insert(anchor, Arc::clone(&node));
        }
        Ok(node)
    }

    fn list(&mut self) -> Result<Value, YamlError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn map(&mut self) -> Result<Value, YamlError> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok(Value::Map(merged(pairs)));
            }
            let key = self.node(event, span)?;
            let (event, span) = self.next()?;
            pairs.push((key, self.node(event, span)?));
        }
    }

    fn spend(&mut self, nodes: usize, span: Span) -> Result<(), YamlError> {
        self.budget = self
            .budget
            .checked_sub(nodes)
            .ok_or_else(|| error("too many nodes", span))?;
        Ok(())
    }
}

type Pairs = Vec<(Arc<Yaml>, Arc<Yaml>)>;

/// Puts what `<<` names in front, so that a mapping's own keys win.
fn merged(pairs: Pairs) -> Pairs {
    let is_merge = |key: &Yaml| matches!(&key.value, Value::Scalar { text, plain: true } if text == "<<");
    if !pairs.iter().any(|(key, _)| is_merge(key)) {
        return pairs;
    }
    let (merges, own): (Pairs, Pairs) = pairs.into_iter().partition(|(key, _)| is_merge(key));
    let mut all = Pairs::new();
    for (_, source) in merges {
        match &source.value {
            Value::Map(pairs) => all.extend(pairs.iter().cloned()),
            // of several, the earlier ones win, so they come later
            Value::List(sources) => {
                for source in sources.iter().rev() {
                    if let Value::Map(pairs) = &source.value {
                        all.extend(pairs.iter().cloned());
                    }
                }
            }
            Value::Scalar { .. } => {}
        }
    }
    all.extend(own);
    all
}

fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Scalar(text, style, anchor, tag) => Event::Scalar(
            text.into_owned().into(),
            style,
            anchor,
            tag.map(|tag| std::borrow::Cow::Owned(tag.into_owned())),
        ),
        Event::SequenceStart(style, anchor, tag) => Event::SequenceStart(
            style,
            anchor,
            tag.map(|tag| std::borrow::Cow::Owned(tag.into_owned())),
        ),
        Event::MappingStart(style, anchor, tag) => Event::MappingStart(
            style,
            anchor,
            tag.map(|tag| std::borrow::Cow::Owned(tag.into_owned())),
        ),
        Event::Alias(id) => Event::Alias(id),
        Event::DocumentStart(explicit, version) => Event::DocumentStart(explicit, version),
        Event::DocumentEnd => Event::DocumentEnd,
        Event::SequenceEnd => Event::SequenceEnd,
        Event::MappingEnd => Event::MappingEnd,
        Event::StreamEnd => Event::StreamEnd,
        _ => Event::StreamStart,
    }
}

fn full_name(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn error(message: &str, span: Span) -> YamlError {
    YamlError {
        message: message.to_owned(),
        reason: message.replace('\n', ", "),
        line: Some(span.start.line()),
    }
}

fn scan_error(error: &ScanError) -> YamlError {
    YamlError {
        message: error.info(),
        reason: format!("the YAML cannot be read: {}", error.info()),
        line: Some(error.marker().line()),
    }
}
