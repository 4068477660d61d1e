//! The data file: tables of rows in one redb file, written in whole transactions by one thread.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError, Table, TableDefinition,
    TableHandle, WriteTransaction,
};
use tokio::sync::watch;

use crate::state::journal::{Batch, Change, Journal};

const META: TableDefinition<&str, u64> = TableDefinition::new("azkaban-standin");
pub(crate) const PROJECTS: TableDefinition<i32, &[u8]> = TableDefinition::new("projects");
pub(crate) const EVENTS: TableDefinition<(i32, u32), &[u8]> = TableDefinition::new("events");
pub(crate) const VERSIONS: TableDefinition<(i32, i32), &[u8]> = TableDefinition::new("versions");
pub(crate) const ZIPS: TableDefinition<(i32, i32), &[u8]> = TableDefinition::new("zips");
pub(crate) const SCHEDULES: TableDefinition<i32, &[u8]> = TableDefinition::new("schedules");
pub(crate) const EXECUTIONS: TableDefinition<i32, &[u8]> = TableDefinition::new("executions");
pub(crate) const NODES: TableDefinition<(i32, u32), &[u8]> = TableDefinition::new("nodes");
pub(crate) const LOGS: TableDefinition<(i32, u32, &str), &str> = TableDefinition::new("logs");

/// Which rows this program writes.
const FORMAT: u64 = 1;
/// Rows of [`META`].
const FORMAT_KEY: &str = "format";
const LAST_SCHEDULE: &str = "last schedule";
const LAST_EXECUTION: &str = "last execution";
/// Memory for pages of the file.
const CACHE: usize = 32 << 20;
/// Batches that are put into one transaction, if so many wait.
const BATCHES_MAX: usize = 256;

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// Another program has it open.
    #[error("{0:?} is in use by another program")]
    InUse(PathBuf),
    /// It holds something else.
    #[error("{0:?} is no data file of azkaban-standin: {1}")]
    Foreign(PathBuf, String),
    /// It cannot be opened, read or written.
    #[error("{0:?} cannot be used: {1}")]
    Io(PathBuf, String),
}

/// An open data file.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens a file, or makes a new one.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let foreign = |why: &str| DataError::Foreign(path.to_owned(), why.to_owned());
        let opened = Database::builder().set_cache_size(CACHE).create(path);
        let database = opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => DataError::InUse(path.to_owned()),
            DatabaseError::UpgradeRequired(_) => foreign("it was written by an older database"),
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() != ErrorKind::InvalidData => {
                DataError::Io(path.to_owned(), error.to_string())
            }
            DatabaseError::Storage(_) => foreign("it is no database"),
            other => DataError::Io(path.to_owned(), other.to_string()),
        })?;
        let store = Self {
            path: path.to_owned(),
            database,
        };
        match store.read(Self::format) {
            Ok(Some(FORMAT)) => {}
            Ok(None) => store
                .prepare()
                .map_err(|error| DataError::Io(path.to_owned(), error.to_string()))?,
            Ok(Some(format)) => {
                return Err(foreign(&format!(
                    "it has format {format}, this program knows {FORMAT}"
                )));
            }
            Err(error) => return Err(foreign(&error.to_string())),
        }
        Ok(store)
    }

    /// Reads in one go; an error names the file.
    pub(crate) fn load<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, DataError> {
        self.read(read)
            .map_err(|error| DataError::Io(self.path.clone(), error.to_string()))
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        read(&self.database.begin_read()?)
    }

    /// Its format; `None` for a new file, an error for somebody else's.
    fn format(read: &redb::ReadTransaction) -> Result<Option<u64>, redb::Error> {
        let tables: Vec<String> = read.list_tables()?.map(|table| table.name().to_owned()).collect();
        if tables.is_empty() {
            return Ok(None);
        }
        Ok(read.open_table(META)?.get(FORMAT_KEY)?.map(|row| row.value()))
    }

    fn prepare(&self) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            Tables::open(&transaction)?.meta.insert(FORMAT_KEY, FORMAT)?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// The highest numbers ever given to schedules and executions.
    pub(crate) fn last_numbers(read: &redb::ReadTransaction) -> Result<(i32, i32), redb::Error> {
        let meta = read.open_table(META)?;
        let number = |key: &str| {
            let row = meta.get(key)?;
            Ok::<_, redb::Error>(row.map_or(0, |row| i32::try_from(row.value()).unwrap_or(i32::MAX)))
        };
        Ok((number(LAST_SCHEDULE)?, number(LAST_EXECUTION)?))
    }

    /// Writes from now on what is queued, on a thread that ends when nobody can queue any more.
    pub(crate) fn write_on_thread(self) -> std::io::Result<(Journal, JoinHandle<()>)> {
        let (queue, batches) = mpsc::channel();
        let (kept, watched) = watch::channel(0);
        let failed = Arc::new(AtomicBool::new(false));
        let journal = Journal::new(queue, watched, Arc::clone(&failed));
        let thread = std::thread::Builder::new()
            .name("data-file".to_owned())
            .spawn(move || self.write_all(&batches, &kept, &failed))?;
        Ok((journal, thread))
    }

    fn write_all(&self, batches: &mpsc::Receiver<Batch>, kept: &watch::Sender<u64>, failed: &AtomicBool) {
        while let Ok(first) = batches.recv() {
            let mut taken = vec![first];
            while taken.len() < BATCHES_MAX
                && let Ok(next) = batches.try_recv()
            {
                taken.push(next);
            }
            if !failed.load(Ordering::SeqCst)
                && let Err(error) = self.write(&taken)
            {
                tracing::error!(path = %self.path.display(), %error, "the data file cannot be written");
                failed.store(true, Ordering::SeqCst);
            }
            // Counted in any case: whoever waits is told of the failure.
            kept.send_modify(|kept| *kept += u64::try_from(taken.len()).unwrap_or(0));
        }
    }

    fn write(&self, batches: &[Batch]) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut tables = Tables::open(&transaction)?;
            for change in batches.iter().flatten() {
                tables.apply(change)?;
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

struct Tables<'t> {
    meta: Table<'t, &'static str, u64>,
    projects: Table<'t, i32, &'static [u8]>,
    events: Table<'t, (i32, u32), &'static [u8]>,
    versions: Table<'t, (i32, i32), &'static [u8]>,
    zips: Table<'t, (i32, i32), &'static [u8]>,
    schedules: Table<'t, i32, &'static [u8]>,
    executions: Table<'t, i32, &'static [u8]>,
    nodes: Table<'t, (i32, u32), &'static [u8]>,
    logs: Table<'t, (i32, u32, &'static str), &'static str>,
}

impl<'t> Tables<'t> {
    fn open(transaction: &'t WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            projects: transaction.open_table(PROJECTS)?,
            events: transaction.open_table(EVENTS)?,
            versions: transaction.open_table(VERSIONS)?,
            zips: transaction.open_table(ZIPS)?,
            schedules: transaction.open_table(SCHEDULES)?,
            executions: transaction.open_table(EXECUTIONS)?,
            nodes: transaction.open_table(NODES)?,
            logs: transaction.open_table(LOGS)?,
        })
    }

    fn apply(&mut self, change: &Change) -> Result<(), redb::Error> {
        match change {
            Change::Project(id, row) => drop(self.projects.insert(id, row.as_slice())?),
            Change::Event(project, number, row) => {
                drop(self.events.insert((*project, *number), row.as_slice())?);
            }
            Change::Version(project, number, row) => {
                drop(self.versions.insert((*project, *number), row.as_slice())?);
            }
            Change::Zip(project, number, zip) => drop(self.zips.insert((*project, *number), &zip[..])?),
            Change::ZipGone(project, number) => drop(self.zips.remove((*project, *number))?),
            Change::Schedule(id, row) => {
                self.schedules.insert(id, row.as_slice())?;
                self.counts(LAST_SCHEDULE, *id)?;
            }
            Change::ScheduleGone(id) => drop(self.schedules.remove(id)?),
            Change::Execution(id, row) => {
                self.executions.insert(id, row.as_slice())?;
                self.counts(LAST_EXECUTION, *id)?;
            }
            Change::ExecutionNode(id, at, row) => drop(self.nodes.insert((*id, *at), row.as_slice())?),
            Change::ExecutionLog(id, attempt, nested, text) => {
                self.logs
                    .insert((*id, *attempt, nested.as_str()), text.as_str())?;
            }
            Change::ExecutionGone(id) => {
                self.executions.remove(id)?;
                self.nodes.retain_in((*id, 0)..(*id + 1, 0), |_, _| false)?;
                self.logs
                    .retain_in((*id, 0, "")..(*id + 1, 0, ""), |_, _| false)?;
            }
        }
        Ok(())
    }

    fn counts(&mut self, key: &'static str, id: i32) -> Result<(), redb::Error> {
        let id = u64::try_from(id).unwrap_or(0);
        let known = self.meta.get(key)?.map_or(0, |row| row.value());
        if id > known {
            self.meta.insert(key, id)?;
        }
        Ok(())
    }
}
