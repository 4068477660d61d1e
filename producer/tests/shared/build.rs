//! The programs of the other packages, for tests that start them.

use std::path::Path;
use std::process::Command;

/// Builds consumer and stand-in: `cargo test --workspace` has done it already, a narrower one perhaps not.
pub(crate) fn others() {
    let mut build = Command::new(env!("CARGO"));
    build
        .args([
            "build",
            "--quiet",
            "-p",
            "flowlift-consumer",
            "-p",
            "azkaban-standin",
        ])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    // what cargo tells a test of its package would have build scripts of dependencies, and all that needs them, built anew
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            build.env_remove(&name);
        }
    }
    assert!(build.status().unwrap().success());
}
