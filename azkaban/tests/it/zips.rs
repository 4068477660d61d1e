//! Zips: what goes in comes out, the same input gives the same bytes, and hostile ones are refused.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use bytes::Bytes;
use flowlift_azkaban::Tree;
use flowlift_azkaban::archive::{ZipError, ZipLimits, merge_zip, paths, read_zip, write_zip};
use proptest::prelude::*;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::tree;

fn read(bytes: &[u8]) -> Result<Tree, ZipError> {
    read_zip(bytes, &ZipLimits::default())
}

/// A zip of other people: entries as named, in this order.
fn foreign(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        if name.ends_with('/') {
            writer.add_directory(*name, options).unwrap();
        } else {
            writer.start_file(*name, options).unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn what_is_written_is_read_back() {
    let project = tree(&[("a.job", "type=noop"), ("s/ü b.sh", "echo"), ("empty", "")]);
    assert_eq!(read(&write_zip(&project)).unwrap(), project);
    assert!(read(&write_zip(&Tree::new())).unwrap().is_empty());
}

#[test]
fn names_are_tidied_as_a_file_system_does() {
    let zip = foreign(&[("/a.job", b"1"), ("s/", b""), ("s//./b.job", b"2")]);
    assert_eq!(read(&zip).unwrap(), tree(&[("a.job", "1"), ("s/b.job", "2")]));
    assert_eq!(paths(&zip).unwrap(), ["a.job", "s/b.job"]);
}

#[test]
fn of_two_entries_with_one_name_the_last_wins() {
    assert_eq!(
        read(&foreign(&[("a", b"old"), ("/a", b"new")])).unwrap(),
        tree(&[("a", "new")])
    );
    // the writer refuses twins, so one is made by patching a name of the same length
    let mut zip = foreign(&[("aa", b"old"), ("ab", b"new")]);
    let at: Vec<usize> = (0..zip.len() - 1)
        .filter(|at| &zip[*at..*at + 2] == b"ab")
        .collect();
    at.iter().for_each(|at| zip[*at..*at + 2].copy_from_slice(b"aa"));
    assert_eq!(read(&zip).unwrap(), tree(&[("aa", "new")]));
    assert_eq!(
        read(&merge_zip(&zip, |_| true, &BTreeMap::new()).unwrap()).unwrap(),
        tree(&[("aa", "new")])
    );
}

#[test]
fn names_that_azkaban_cannot_unpack_are_refused() {
    let long = "x".repeat(256);
    for name in ["../a", "a/../b", "a/..", &long] {
        assert!(
            matches!(read(&foreign(&[(name, b"")])), Err(ZipError::Name { .. })),
            "{name}"
        );
    }
    let error = read(&foreign(&[("../a", b"")])).unwrap_err();
    assert_eq!(error.to_string(), "entry \"../a\" leads outside with '..'");
    let mut latin = foreign(&[("aXb", b"")]);
    let at: Vec<usize> = (0..latin.len() - 2)
        .filter(|at| &latin[*at..*at + 3] == b"aXb")
        .collect();
    at.iter().for_each(|at| latin[*at + 1] = 0xe4);
    assert!(matches!(
        read(&latin),
        Err(ZipError::Name {
            rule: "is not named in UTF-8",
            ..
        })
    ));
}

#[test]
fn a_path_is_a_file_or_a_folder() {
    let error = read(&foreign(&[("a/b", b""), ("a", b"")])).unwrap_err();
    assert_eq!(error.to_string(), "\"a\" is both a file and a folder");
    let put = BTreeMap::from([("a/b".to_owned(), Bytes::new())]);
    assert!(matches!(
        merge_zip(&foreign(&[("a", b"")]), |_| true, &put),
        Err(ZipError::FileAndFolder { .. })
    ));
}

#[test]
fn what_is_no_zip_or_damaged_is_refused() {
    assert!(matches!(read(b"hello"), Err(ZipError::Broken(_))));
    let mut zip = foreign(&[("a", b"content")]);
    let at = zip.windows(7).position(|window| window == b"content").unwrap();
    zip[at] = b'X';
    assert!(matches!(read(&zip), Err(ZipError::Entry { .. })));
}

#[test]
fn other_methods_and_encryption_are_refused() {
    let mut zip = foreign(&[("a", b"content")]);
    // method 12 is bzip2: in the local header at 8, in the central one at 10
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    zip[8] = 12;
    zip[central + 10] = 12;
    let error = read(&zip).unwrap_err();
    assert!(matches!(error, ZipError::Method { .. }), "{error}");
    zip[8] = 0;
    zip[central + 10] = 0;
    zip[central + 8] |= 1;
    assert!(matches!(read(&zip), Err(ZipError::Method { .. })));
}

#[test]
fn limits_hold_while_unpacking() {
    let zip = write_zip(&tree(&[("a", &"x".repeat(100_000)), ("b", &"y".repeat(100_000))]));
    let limits = ZipLimits {
        entries: 2,
        entry: 100_000,
        total: 200_000,
    };
    assert!(read_zip(&zip, &limits).is_ok());
    assert!(matches!(
        read_zip(&zip, &ZipLimits { entries: 1, ..limits }),
        Err(ZipError::TooMany { got: 2, max: 1 })
    ));
    assert!(matches!(
        read_zip(
            &zip,
            &ZipLimits {
                entry: 99_999,
                ..limits
            }
        ),
        Err(ZipError::EntryTooLarge { .. })
    ));
    assert!(matches!(
        read_zip(
            &zip,
            &ZipLimits {
                total: 199_999,
                ..limits
            }
        ),
        Err(ZipError::TooLarge { .. })
    ));
}

#[test]
fn an_entry_that_lies_about_its_size_is_stopped() {
    let mut zip = write_zip(&tree(&[("a", &"x".repeat(1_000_000))]));
    let central = zip.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    for at in [22, central + 24] {
        zip[at..at + 4].copy_from_slice(&10u32.to_le_bytes());
    }
    let limits = ZipLimits {
        entry: 1_000,
        ..ZipLimits::default()
    };
    assert!(read_zip(&zip, &limits).is_err());
}

#[test]
fn merging_keeps_puts_and_drops() {
    let base = write_zip(&tree(&[("a.job", "1"), ("b.job", "2"), ("c.job", "3")]));
    let put = BTreeMap::from([
        ("b.job".to_owned(), Bytes::from("new")),
        ("d.job".to_owned(), Bytes::from("4")),
    ]);
    let merged = merge_zip(&base, |path| path != "c.job", &put).unwrap();
    assert_eq!(
        read(&merged).unwrap(),
        tree(&[("a.job", "1"), ("b.job", "new"), ("d.job", "4")])
    );
    assert_eq!(
        merged,
        write_zip(&read(&merged).unwrap()),
        "as if written at once"
    );
}

#[test]
fn a_zip_of_ours_merged_with_nothing_stays_as_it_is() {
    let base = write_zip(&tree(&[("a.job", "1"), ("b.job", "2")]));
    assert_eq!(merge_zip(&base, |_| true, &BTreeMap::new()).unwrap(), base);
}

#[test]
fn only_good_names_are_put() {
    for name in ["../x", "/x", "a//b", "", "x/"] {
        let put = BTreeMap::from([(name.to_owned(), Bytes::new())]);
        assert!(
            matches!(
                merge_zip(&write_zip(&Tree::new()), |_| true, &put),
                Err(ZipError::Name { .. })
            ),
            "{name}"
        );
    }
}

fn paths_and_contents() -> impl Strategy<Value = Tree> {
    let path = "[a-e]{1,2}(\\.job|\\.sh|/[a-e]{1,2}\\.job)";
    proptest::collection::btree_map(path, any::<Vec<u8>>().prop_map(Bytes::from), 0..12)
}

proptest! {
    #[test]
    fn a_merged_zip_is_the_map_of_its_parts(
        base in paths_and_contents(), put in paths_and_contents(), dropped in proptest::collection::btree_set("[a-e]{1,2}\\.job", 0..6),
    ) {
        let mut expected: Tree =
            base.iter().filter(|(path, _)| !dropped.contains(*path)).map(|(p, c)| (p.clone(), c.clone())).collect();
        expected.extend(put.clone());
        let merged = merge_zip(&write_zip(&base), |path| !dropped.contains(path), &put).unwrap();
        prop_assert_eq!(&read(&merged).unwrap(), &expected);
        prop_assert_eq!(merged, write_zip(&expected));
    }

    #[test]
    fn any_bytes_are_read_or_refused_without_panic(mut bytes: Vec<u8>, at in 0usize..400, byte: u8) {
        let _ = read(&bytes);
        bytes = write_zip(&tree(&[("a.job", "type=noop"), ("b/c.job", "x")]));
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
        let _ = merge_zip(&bytes, |_| true, &BTreeMap::new());
    }
}
