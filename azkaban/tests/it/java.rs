//! The readers on the other side: Java's, Info-ZIP's and Python's open what we write. Each is skipped, with a word, where
//! the program is missing.

use std::path::Path;
use std::process::Command;

use flowlift_azkaban::archive::{merge_zip, write_zip};
use flowlift_azkaban::{Format, Job, Tree, properties, render};

use crate::{flow, job, tree};

/// What a program prints; `None`, said aloud, when it is not there.
fn run(program: &str, args: &[&str], folder: &Path) -> Option<String> {
    let output = match Command::new(program).args(args).current_dir(folder).output() {
        Ok(output) => output,
        Err(error) => {
            println!("skipped: {program} cannot be run: {error}");
            return None;
        }
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    Some(text(&output.stdout))
}

/// A folder of our own that is gone afterwards.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("flowlift-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn put(&self, name: &str, content: &[u8]) {
        std::fs::write(self.0.join(name), content).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs one Java class, given by its source.
fn java(folder: &Folder, class: &str, source: &str) -> Option<String> {
    folder.put(&format!("{class}.java"), source.as_bytes());
    run("java", &[&format!("{class}.java")], &folder.0)
}

fn project() -> Tree {
    let mut files = tree(&[
        ("a.job", "type=noop"),
        ("s/ä.job", "type=noop"),
        ("empty.txt", ""),
        (".hidden", "x"),
    ]);
    for number in 0..2_000 {
        let text = format!("type=command\ncommand=echo {number}\n");
        files.insert(format!("flow_{number:06}.job"), text.into());
    }
    files
}

const READ_ZIP: &str = r#"
import java.io.*; import java.util.*; import java.util.zip.*;
public class ReadZip {
  public static void main(String[] a) throws Exception {
    TreeMap<String, Long> byFile = new TreeMap<>(), byStream = new TreeMap<>();
    int entries = 0;
    try (ZipFile zip = new ZipFile("z.zip")) {
      for (ZipEntry e : Collections.list(zip.entries())) {
        entries++;
        byFile.put(e.getName(), sum(zip.getInputStream(e)));
      }
    }
    int streamed = 0;
    try (ZipInputStream zip = new ZipInputStream(new FileInputStream("z.zip"))) {
      for (ZipEntry e; (e = zip.getNextEntry()) != null; streamed++) byStream.put(e.getName(), sum(zip));
    }
    System.out.println(byFile.equals(byStream) + " " + entries + " " + streamed + " " + byFile.size() + " " + byFile.get("s/\u00e4.job"));
  }
  static long sum(InputStream in) throws IOException {
    CRC32 crc = new CRC32(); crc.update(in.readAllBytes()); return crc.getValue();
  }
}
"#;

#[test]
fn our_zips_open_in_java_and_info_zip() {
    let folder = Folder::new("zips");
    let all = project();
    let put = tree(&[("a.job", "type=command\ncommand=ls"), ("new.job", "type=noop")]);
    let merged = merge_zip(&write_zip(&all), |path| path != "flow_000007.job", &put).unwrap();
    for (zip, count) in [(write_zip(&all), all.len()), (merged, all.len())] {
        folder.put("z.zip", &zip);
        if let Some(text) = run("unzip", &["-t", "z.zip"], &folder.0) {
            assert!(text.contains("No errors detected"), "{text}");
        }
        if let Some(text) = java(&folder, "ReadZip", READ_ZIP) {
            let crc = 1_068_184_640_u64;
            assert_eq!(text.trim(), format!("true {count} {count} {count} {crc}"));
        }
    }
}

const READ_PROPERTIES: &str = r#"
import java.io.*; import java.util.*;
public class ReadProperties {
  public static void main(String[] a) throws Exception {
    Properties p = new Properties();
    p.load(new BufferedInputStream(new FileInputStream("p.properties")));
    StringBuilder out = new StringBuilder();
    for (String key : new TreeSet<>(p.stringPropertyNames())) out.append(units(key)).append('=').append(units(p.getProperty(key))).append('\n');
    System.out.print(out);
  }
  static String units(String s) {
    StringBuilder out = new StringBuilder();
    for (char c : s.toCharArray()) out.append(String.format("%04x", (int) c));
    return out.toString();
  }
}
"#;

fn units(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("{unit:04x}")).collect()
}

fn awkward() -> Vec<(String, String)> {
    let texts = [
        "", " ", "  x  ", "a=b", "a:b", "#c", "!c", "\\", "\\u00e4", "ä", "😀", "a\nb", "\r", "\t", "\u{c}",
        "\u{0}", "\u{85}", "\u{2028}", "\u{fffe}", "yes", "1:30", "1_000", "null", "~", "- x", "{x}", "'",
        "\"", "a\\\n b",
    ];
    texts
        .iter()
        .enumerate()
        .map(|(at, text)| (format!("k{at:02}{text}"), (*text).to_owned()))
        .collect()
}

#[test]
fn our_properties_are_read_by_java_as_written() {
    let folder = Folder::new("properties");
    let pairs = awkward();
    folder.put(
        "p.properties",
        &properties::write(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()))),
    );
    let Some(text) = java(&folder, "ReadProperties", READ_PROPERTIES) else {
        return;
    };
    let mut expected: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", units(key), units(value)))
        .collect();
    expected.sort();
    let mut got: Vec<&str> = text.lines().collect();
    got.sort_unstable();
    assert_eq!(got, expected);
}

#[test]
fn our_yaml_holds_nothing_but_strings_for_other_readers() {
    let folder = Folder::new("yaml");
    let props = awkward()
        .into_iter()
        .filter(|(key, _)| !key.contains(char::is_control) && key.trim() == key);
    let jobs = vec![
        Job {
            props: props.collect(),
            ..job("yes", &[])
        },
        job("1.50", &["yes"]),
    ];
    let expected = jobs[0].props.clone();
    let (_, content) = render(&flow("f", jobs), Format::V2).unwrap().remove(0);
    folder.put("f.flow", &content);
    let script = "import json\ntry:\n import yaml\nexcept ImportError:\n print('missing')\n raise SystemExit\n\
                  print(json.dumps(yaml.safe_load(open('f.flow', encoding='utf-8'))))";
    let Some(text) = run("python3", &["-c", script], &folder.0) else {
        return;
    };
    if text.trim() == "missing" {
        println!("skipped: python3 has no yaml module");
        return;
    }
    let read: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(read["nodes"][0]["name"], "yes");
    assert_eq!(read["nodes"][1]["dependsOn"][0], "yes");
    assert_eq!(
        read["nodes"][0]["config"],
        serde_json::to_value(expected).unwrap()
    );
}
