//! Project zips: read into a [`Tree`] within limits, written and merged so that the same input gives the same bytes.
//!
//! What [`read_zip`] refuses, Azkaban refuses too (`Error unzipping file.`); what it tidies (a leading `/`, doubled
//! slashes, two entries of one name), Azkaban's file system tidies the same way.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};

use bytes::Bytes;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use crate::model::Tree;

/// The longest name of one file or folder, in bytes, that Linux file systems take.
const COMPONENT_MAX: usize = 255;
/// The longest path in bytes: Linux takes 4095, Azkaban's own folder for unpacking included.
const PATH_MAX: usize = 4000;
/// Folders within each other. Azkaban takes minutes for two thousand of them, and our loader goes down them on its stack.
const FOLDERS_MAX: usize = 500;

/// How much a zip may hold; guards against small files that unpack to huge ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZipLimits {
    /// Entries, folders included.
    pub entries: usize,
    /// Unpacked bytes of one file.
    pub entry: u64,
    /// Unpacked bytes of all files.
    pub total: u64,
}

impl Default for ZipLimits {
    fn default() -> Self {
        Self {
            entries: 250_000,
            entry: 256 << 20,
            total: 512 << 20,
        }
    }
}

/// Why a zip cannot be read or merged.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// Not a zip, or a damaged one.
    #[error("the zip cannot be read")]
    Broken(#[source] zip::result::ZipError),
    /// One entry is damaged.
    #[error("entry {name:?} cannot be unpacked")]
    Entry {
        /// Its name.
        name: String,
        /// What went wrong.
        #[source]
        source: std::io::Error,
    },
    /// A name Azkaban cannot unpack.
    #[error("entry {name:?} {rule}")]
    Name {
        /// Its name, unreadable bytes replaced.
        name: String,
        /// What is wrong with it: a clause that follows the name.
        rule: &'static str,
    },
    /// Neither stored nor deflated, or encrypted: Java's reader refuses it.
    #[error("entry {name:?} is {how}; Azkaban reads stored and deflated entries only")]
    Method {
        /// Its name.
        name: String,
        /// How it is packed.
        how: String,
    },
    /// More entries than allowed.
    #[error("the zip has {got} entries, at most {max} are allowed")]
    TooMany {
        /// Entries in the zip.
        got: usize,
        /// The limit.
        max: usize,
    },
    /// One file unpacks to too much.
    #[error("entry {name:?} unpacks to more than {max} bytes")]
    EntryTooLarge {
        /// Its name.
        name: String,
        /// The limit.
        max: u64,
    },
    /// All files together unpack to too much.
    #[error("the zip unpacks to more than {max} bytes")]
    TooLarge {
        /// The limit.
        max: u64,
    },
    /// A path that is a file here and a folder there.
    #[error("{path:?} is both a file and a folder")]
    FileAndFolder {
        /// The path.
        path: String,
    },
}

/// Unpacks a project zip. Folders are skipped; of two entries with one name the last wins.
pub fn read_zip(bytes: &[u8], limits: &ZipLimits) -> Result<Tree, ZipError> {
    let mut archive = open(bytes)?;
    if archive.len() > limits.entries {
        return Err(ZipError::TooMany {
            got: archive.len(),
            max: limits.entries,
        });
    }
    let mut total = 0;
    let mut tree = Tree::new();
    for (path, index) in entries(&mut archive)? {
        let content = inflate(&mut archive, index, &path, limits.entry)?;
        total += content.len() as u64;
        if total > limits.total {
            return Err(ZipError::TooLarge { max: limits.total });
        }
        tree.insert(path, content);
    }
    Ok(tree)
}

/// Packs a tree: sorted, deflated, every entry dated 1980-01-01.
#[must_use]
pub fn write_zip(tree: &Tree) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let written = tree
        .iter()
        .try_for_each(|(path, content)| put_entry(&mut writer, path, content));
    finish(writer, written)
}

/// Packs the entries of `base` for which `keep` says yes, as they are and without unpacking, and those of `put`, which
/// win over kept ones. The result is sorted, has one entry per path, and only depends on what is put in.
pub fn merge_zip<'p>(
    base: &[u8],
    keep: impl Fn(&str) -> bool,
    put: impl IntoIterator<Item = (&'p String, &'p Bytes)>,
) -> Result<Vec<u8>, ZipError> {
    let mut archive = open(base)?;
    let mut sources: BTreeMap<String, Source<'_>> = BTreeMap::new();
    for (path, index) in entries(&mut archive)? {
        if keep(&path) {
            sources.insert(path, Source::Base(index));
        }
    }
    for (path, content) in put {
        if tidy(path)?.as_ref() != Some(path) {
            let rule = "is no path of a file inside a project";
            return Err(ZipError::Name {
                name: path.clone(),
                rule,
            });
        }
        sources.insert(path.clone(), Source::New(content));
    }
    no_file_is_a_folder(sources.keys())?;
    let mut writer = ZipWriter::new(Cursor::new(Vec::with_capacity(base.len())));
    for (path, source) in sources {
        match source {
            Source::New(content) => put_entry(&mut writer, &path, content).map_err(ZipError::Broken)?,
            Source::Base(index) => copy_entry(&mut writer, &mut archive, index, &path)?,
        }
    }
    Ok(writer.finish().map_err(ZipError::Broken)?.into_inner())
}

/// The entries a zip says it has, by the two bytes at its end, without reading it further; 65,535 and more are told from its
/// size, at the least an entry can have.
#[must_use]
pub fn count(bytes: &[u8]) -> usize {
    const END: &[u8] = b"PK\x05\x06";
    const LEAST: usize = 30 + 46 + 2;
    let end = bytes.windows(END.len()).rposition(|window| window == END);
    let number = end.and_then(|end| bytes.get(end + 10..end + 12));
    match number {
        Some([low, high]) if (*low, *high) != (0xff, 0xff) => usize::from(u16::from_le_bytes([*low, *high])),
        _ => bytes.len() / LEAST,
    }
}

/// The paths in a project zip, without unpacking it; the same tidying and refusals as in [`read_zip`].
pub fn paths(bytes: &[u8]) -> Result<Vec<String>, ZipError> {
    Ok(entries(&mut open(bytes)?)?.into_keys().collect())
}

enum Source<'a> {
    Base(usize),
    New(&'a Bytes),
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;
type Writer = ZipWriter<Cursor<Vec<u8>>>;

fn open(bytes: &[u8]) -> Result<Archive<'_>, ZipError> {
    ZipArchive::new(Cursor::new(bytes)).map_err(ZipError::Broken)
}

/// Tidied path to index, folders left out, of equal paths the last.
fn entries(archive: &mut Archive<'_>) -> Result<BTreeMap<String, usize>, ZipError> {
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(ZipError::Broken)?;
        let raw = entry.name_raw();
        let Ok(name) = std::str::from_utf8(raw) else {
            let name = String::from_utf8_lossy(raw).into_owned();
            return Err(ZipError::Name {
                name,
                rule: "is not named in UTF-8",
            });
        };
        if let Some(path) = tidy(name)? {
            let how = match entry.compression() {
                _ if entry.encrypted() => Some("encrypted".to_owned()),
                CompressionMethod::Stored | CompressionMethod::Deflated => None,
                other => Some(format!("packed by {other}")),
            };
            if let Some(how) = how {
                return Err(ZipError::Method { name: path, how });
            }
            found.insert(path, index);
        }
    }
    no_file_is_a_folder(found.keys())?;
    Ok(found)
}

/// An entry's path as it is on disk after unpacking; `None` for a folder.
fn tidy(name: &str) -> Result<Option<String>, ZipError> {
    let refuse = |rule| {
        Err(ZipError::Name {
            name: name.to_owned(),
            rule,
        })
    };
    let parts: Vec<&str> = name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if parts.contains(&"..") {
        return refuse("leads outside with '..'");
    }
    if name.contains('\0') {
        return refuse("contains a zero byte");
    }
    if parts.iter().any(|part| part.len() > COMPONENT_MAX) {
        return refuse("has a file or folder name of more than 255 bytes");
    }
    if parts.iter().map(|part| part.len() + 1).sum::<usize>() > PATH_MAX {
        return refuse("has a path of more than 4000 bytes");
    }
    if parts.len() > FOLDERS_MAX {
        return refuse("lies in more than 500 folders within each other");
    }
    if name.ends_with('/') {
        return Ok(None);
    }
    if parts.is_empty() {
        return refuse("has no name");
    }
    Ok(Some(parts.join("/")))
}

/// Paths come sorted, and a folder's name is a prefix: `a` < `a/b`, but `a-b` may stand between them.
fn no_file_is_a_folder<'a>(paths: impl Iterator<Item = &'a String>) -> Result<(), ZipError> {
    let paths: std::collections::HashSet<&str> = paths.map(String::as_str).collect();
    let folders = |path: &'_ str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
    for path in &paths {
        for at in folders(path) {
            if paths.contains(&path[..at]) {
                return Err(ZipError::FileAndFolder {
                    path: path[..at].to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Unpacks one entry, and stops as soon as it is too large: the size it declares may be a lie.
fn inflate(archive: &mut Archive<'_>, index: usize, name: &str, max: u64) -> Result<Bytes, ZipError> {
    let entry = archive.by_index(index).map_err(ZipError::Broken)?;
    if entry.size() > max {
        return Err(ZipError::EntryTooLarge {
            name: name.to_owned(),
            max,
        });
    }
    let mut content = Vec::with_capacity(usize::try_from(entry.size().min(1 << 20)).unwrap_or_default());
    let got = entry.take(max + 1).read_to_end(&mut content);
    got.map_err(|source| ZipError::Entry {
        name: name.to_owned(),
        source,
    })?;
    if content.len() as u64 > max {
        return Err(ZipError::EntryTooLarge {
            name: name.to_owned(),
            max,
        });
    }
    Ok(content.into())
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644)
}

fn put_entry(writer: &mut Writer, path: &str, content: &Bytes) -> ZipResult<()> {
    writer.start_file(path, options())?;
    writer.write_all(content)?;
    Ok(())
}

/// Copies an entry without unpacking it. One whose name had to be tidied is packed anew, with our date.
fn copy_entry(
    writer: &mut Writer,
    archive: &mut Archive<'_>,
    index: usize,
    path: &str,
) -> Result<(), ZipError> {
    let entry = archive.by_index_raw(index).map_err(ZipError::Broken)?;
    if entry.name_raw() == path.as_bytes() {
        let copied = writer.raw_copy_file_touch(entry, DateTime::default(), Some(0o644));
        return copied.map_err(ZipError::Broken);
    }
    drop(entry);
    let content = inflate(archive, index, path, ZipLimits::default().entry)?;
    put_entry(writer, path, &content).map_err(ZipError::Broken)
}

fn finish(writer: Writer, written: ZipResult<()>) -> Vec<u8> {
    written
        .and_then(|()| writer.finish())
        .expect("a zip in memory")
        .into_inner()
}
