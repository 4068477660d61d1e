//! One test per answer of 4.0.0; runs on the stand-in or on a real server.

mod concurrency;
mod downloads;
mod execution_logs;
mod execution_refusals;
mod executions;
mod expressions;
mod failures;
mod flows;
mod locks;
mod logins;
mod old_schedules;
mod overrides;
mod permissions;
mod persist;
mod projects;
mod refusals;
mod retries;
mod schedules;
mod sessions;
mod status;
mod uploads;
