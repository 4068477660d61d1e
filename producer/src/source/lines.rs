//! NDJSON from a file, or from standard input spooled to one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek as _};
use std::path::{Path, PathBuf};

use flowlift_azkaban::ProjectName;
use flowlift_azkaban::rules::Finding;
use flowlift_common::Schedule;

use super::Item;
use super::line::Parser;
use crate::exit::Failure;

/// The longest line, in bytes: what unpacks to more than a message may hold is no flow.
pub const LINE_MAX: usize = 64 << 20;

/// A source of lines.
#[derive(Debug)]
pub struct Lines {
    /// For people: the file's name, or `standard input`.
    pub name: String,
    /// Project of lines that name none.
    pub project: Option<ProjectName>,
    /// Schedule of lines that say nothing about it.
    pub schedule: Schedule,
    file: Input,
}

#[derive(Debug)]
enum Input {
    Named(PathBuf),
    Spooled(File),
}

impl Lines {
    /// Lines of a file.
    #[must_use]
    pub fn of_file(path: &Path, project: Option<ProjectName>, schedule: Schedule) -> Self {
        Self {
            name: path.display().to_string(),
            project,
            schedule,
            file: Input::Named(path.to_owned()),
        }
    }

    /// Lines of an input that can be read once only; it is copied to a temporary file without a name.
    pub fn spooled(
        mut input: impl Read,
        project: Option<ProjectName>,
        schedule: Schedule,
    ) -> Result<Self, Failure> {
        let failed = |source| Failure::Io {
            path: "the temporary copy of standard input".into(),
            source,
        };
        let mut file = tempfile::tempfile().map_err(failed)?;
        std::io::copy(&mut input, &mut file).map_err(failed)?;
        Ok(Self {
            name: "standard input".into(),
            project,
            schedule,
            file: Input::Spooled(file),
        })
    }

    /// All changes, read line by line.
    pub fn items(&self) -> Result<impl Iterator<Item = Result<Item, Finding>> + Send + '_, Failure> {
        let failed = |source| Failure::Io {
            path: self.name.clone().into(),
            source,
        };
        let file = match &self.file {
            Input::Named(path) => File::open(path).map_err(failed)?,
            Input::Spooled(file) => {
                let mut file = file.try_clone().map_err(failed)?;
                file.rewind().map_err(failed)?;
                file
            }
        };
        Ok(Reader {
            lines: self.parser(),
            input: Some(BufReader::with_capacity(1 << 16, file)),
            buffer: Vec::new(),
        })
    }

    /// What reads single lines of this source.
    #[must_use]
    pub fn parser(&self) -> Parser {
        Parser::new(&self.name, self.project.clone(), self.schedule.clone())
    }
}

struct Reader<R> {
    lines: Parser,
    input: Option<R>,
    buffer: Vec<u8>,
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Item, Finding>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.buffer.clear();
            let mut limited = self.input.as_mut()?.take(LINE_MAX as u64 + 1);
            match limited.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.input = None;
                    return Some(Err(self.lines.finding(None, format!("reading failed: {error}"))));
                }
            }
            if self.buffer.len() > LINE_MAX {
                self.lines.skip();
                // what follows is the rest of this line: nothing after it can be told apart
                self.input = None;
                return Some(Err(self
                    .lines
                    .finding(None, "the line is longer than 64 MiB".into())));
            }
            if let Some(found) = self.lines.line(&self.buffer) {
                return Some(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_lines_count_and_are_skipped_and_a_spooled_input_reads_twice() {
        let text = "\u{feff}{\"flow\":\"a\",\"command\":\"x\"}\r\n\n{\"flow\":\"b\",\"command\":\"x\"}";
        let lines = Lines::spooled(text.as_bytes(), ProjectName::new("p").ok(), Schedule::Keep).unwrap();
        for _ in 0..2 {
            let places: Vec<_> = lines
                .items()
                .unwrap()
                .map(|item| item.unwrap().place.line)
                .collect();
            assert_eq!(places, [Some(1), Some(3)]);
        }
    }
}
