//! What the server remembers: users and sessions, projects, schedules, faults, counters. No HTTP in here.

pub(crate) mod emails;
pub(crate) mod faults;
pub(crate) mod flows;
pub(crate) mod journal;
pub(crate) mod overrides;
pub(crate) mod period;
pub(crate) mod permission;
pub(crate) mod persist;
pub(crate) mod project;
pub(crate) mod schedules;
pub(crate) mod sessions;
pub(crate) mod stats;
pub(crate) mod store;
pub(crate) mod world;

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Locks even after a panic elsewhere: every change under these locks is complete in one step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`], for reading.
pub(crate) fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`], for writing.
pub(crate) fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
