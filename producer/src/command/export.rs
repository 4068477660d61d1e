//! `flowlift export`.

use std::io::Write as _;
use std::path::Path;

use serde_json::json;

use super::Context;
use crate::cli::ExportArgs;
use crate::exit::Failure;
use crate::readback;
use crate::words::count;

/// Runs it.
pub(super) async fn run(context: &Context, args: &ExportArgs) -> Result<(), Failure> {
    let client = context.azkaban()?;
    let name = &args.project;
    let Some(project) = readback::read(&client, name).await? else {
        return Err(Failure::NoInput(format!("there is no project {name} in Azkaban")));
    };
    let Some(zip) = project.zip else {
        return Err(Failure::NoInput(format!(
            "nothing was uploaded to project {name} yet"
        )));
    };
    write(&args.file, &zip.bytes)?;
    let (flows, bytes, file) = (project.listed.len(), zip.bytes.len(), args.file.display());
    context.print(
        || json!({"project": name, "version": zip.version, "flows": flows, "bytes": bytes, "file": args.file}),
        || format!("{file}: {}, {bytes} bytes, version {} of project {name}", count(flows as u64, "flow"), zip.version),
    )
}

/// The whole file or none: whoever reads it never sees half of it.
fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let failed = |source| Failure::Io {
        path: path.to_owned(),
        source,
    };
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    readable(file.as_file()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// A temporary file is its owner's alone; the exported one is like any file.
fn readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
