//! Project zips.

use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A zip of these files, in this order.
pub(crate) fn zip(files: &[(&str, &str)]) -> Vec<u8> {
    let bytes: Vec<_> = files
        .iter()
        .map(|(path, content)| (*path, content.as_bytes()))
        .collect();
    zip_of_bytes(&bytes)
}

/// The same, for files that need not be texts.
pub(crate) fn zip_of_bytes(files: &[(&str, impl AsRef<[u8]>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        writer.start_file(*path, SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_ref()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Flow 1.0: a job of type `noop` per name, and what else stands in its file.
pub(crate) fn jobs(jobs: &[(&str, &str)]) -> Vec<u8> {
    let files: Vec<_> = jobs
        .iter()
        .map(|(name, rest)| (format!("{name}.job"), format!("type=noop\n{rest}")))
        .collect();
    zip(&files
        .iter()
        .map(|(path, content)| (path.as_str(), content.as_str()))
        .collect::<Vec<_>>())
}

/// Flow 1.0: so many flows of one job each.
pub(crate) fn flows(count: usize) -> Vec<u8> {
    let names: Vec<String> = (0..count).map(|number| format!("flow_{number:05}")).collect();
    jobs(&names.iter().map(|name| (name.as_str(), "")).collect::<Vec<_>>())
}

/// Flow 2.0: flow `g` with job `j1` and an embedded flow `sub` of `k1` and `k2`.
pub(crate) fn nested() -> Vec<u8> {
    let flow = "config:\n  user: x\nnodes:\n- name: j1\n  type: noop\n- name: sub\n  type: flow\n  dependsOn: [j1]\n  config:\n    \
                a: b\n  nodes:\n  - name: k1\n    type: command\n    config:\n      command: ls\n  - name: k2\n    type: noop\n    \
                dependsOn: [k1]\n    condition: one_success\n";
    v2(&[("g", flow)])
}

/// Flow 2.0: a project file, and a flow file per name.
pub(crate) fn v2(flows: &[(&str, &str)]) -> Vec<u8> {
    let mut files = vec![("p.project".to_owned(), "azkaban-flow-version: 2.0\n")];
    files.extend(
        flows
            .iter()
            .map(|&(name, content)| (format!("{name}.flow"), content)),
    );
    zip(&files
        .iter()
        .map(|(path, content)| (path.as_str(), *content))
        .collect::<Vec<_>>())
}
