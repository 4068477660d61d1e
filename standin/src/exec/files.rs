//! Folders of executions: the project's files, linked from one unpacked copy per version.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use flowlift_azkaban::archive::{ZipLimits, read_zip};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use crate::state::lock;

/// Where executions have their folders: one temporary folder, made when it is first needed, gone with the server.
#[derive(Debug)]
pub(crate) struct Workshop {
    limits: ZipLimits,
    root: Mutex<Option<Arc<TempDir>>>,
    unpacked: Mutex<HashMap<(i32, i32), Weak<Unpacked>>>,
}

/// A version's files on disk, as long as an execution uses them.
#[derive(Debug)]
struct Unpacked {
    path: PathBuf,
    _root: Arc<TempDir>,
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        remove(std::mem::take(&mut self.path));
    }
}

impl Workshop {
    pub(crate) fn new(limits: ZipLimits) -> Self {
        Self {
            limits,
            root: Mutex::new(None),
            unpacked: Mutex::default(),
        }
    }

    /// Others must not read what jobs write there.
    fn root(&self) -> io::Result<Arc<TempDir>> {
        let mut root = lock(&self.root);
        if let Some(root) = &*root {
            return Ok(Arc::clone(root));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix("azkaban-standin-");
        builder.permissions(std::fs::Permissions::from_mode(0o700));
        let made = Arc::new(builder.tempdir()?);
        *root = Some(Arc::clone(&made));
        Ok(made)
    }

    fn unpack(&self, version: (i32, i32), zip: &Bytes) -> io::Result<Arc<Unpacked>> {
        // Held while unpacking: a second execution of the same version waits for the first one's copy.
        let mut unpacked = lock(&self.unpacked);
        unpacked.retain(|_, copy| copy.strong_count() > 0);
        if let Some(copy) = unpacked.get(&version).and_then(Weak::upgrade) {
            return Ok(copy);
        }
        let root = self.root()?;
        let path = root.path().join("projects").join(format!(
            "{}.{}.{}",
            version.0,
            version.1,
            uuid::Uuid::new_v4().simple()
        ));
        std::fs::create_dir_all(&path)?;
        let copy = Arc::new(Unpacked {
            path: path.clone(),
            _root: root,
        });
        let tree = read_zip(zip, &self.limits).map_err(io::Error::other)?;
        for (name, content) in &tree {
            let file = path.join(name);
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(file, content)?;
        }
        unpacked.insert(version, Arc::downgrade(&copy));
        Ok(copy)
    }
}

/// The folder of one execution, made when its first command runs.
#[derive(Debug)]
pub(super) struct ExecutionFiles {
    workshop: Arc<Workshop>,
    id: i32,
    version: (i32, i32),
    zip: Bytes,
    made: OnceCell<Folder>,
}

#[derive(Debug)]
struct Folder {
    path: PathBuf,
    _copy: Arc<Unpacked>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        remove(std::mem::take(&mut self.path));
    }
}

impl ExecutionFiles {
    pub(super) fn new(workshop: &Arc<Workshop>, id: i32, version: (i32, i32), zip: Bytes) -> Self {
        Self {
            workshop: Arc::clone(workshop),
            id,
            version,
            zip,
            made: OnceCell::new(),
        }
    }

    /// Where it is or will be, for the log.
    pub(super) fn path(&self) -> PathBuf {
        let root = self.workshop.root().map(|root| root.path().to_owned());
        root.unwrap_or_default()
            .join("executions")
            .join(self.id.to_string())
    }

    /// The folder with all the project's files.
    pub(super) async fn folder(&self) -> io::Result<&Path> {
        let make = || async {
            let (workshop, version, zip, path) = (
                Arc::clone(&self.workshop),
                self.version,
                self.zip.clone(),
                self.path(),
            );
            let made = tokio::task::spawn_blocking(move || {
                let copy = workshop.unpack(version, &zip)?;
                std::fs::create_dir_all(&path)?;
                let folder = Folder {
                    path: path.clone(),
                    _copy: Arc::clone(&copy),
                };
                link(&copy.path, &path)?;
                Ok(folder)
            });
            made.await.map_err(io::Error::other)?
        };
        self.made.get_or_try_init(make).await.map(|folder| &*folder.path)
    }
}

/// Links all files of a folder into another.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    let mut todo = vec![(from.to_owned(), to.to_owned())];
    while let Some((from, to)) = todo.pop() {
        for entry in std::fs::read_dir(from)? {
            let entry = entry?;
            let target = to.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                std::fs::create_dir(&target)?;
                todo.push((entry.path(), target));
            } else {
                std::fs::hard_link(entry.path(), target)?;
            }
        }
    }
    Ok(())
}

/// Removes a folder apart from the threads that answer requests.
fn remove(path: PathBuf) {
    let remove = move || {
        if let Err(error) = std::fs::remove_dir_all(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a folder could not be removed");
        }
    };
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => drop(runtime.spawn_blocking(remove)),
        Err(_) => remove(),
    }
}
