//! A small Azkaban for laptops, demos and tests: answers as 4.0.0 does, byte for byte where programs look.
//!
//! [`Standin::start`] runs it inside another program, for example a test, on a free port:
//!
//! ```
//! # async fn example() -> Result<(), azkaban_standin::StartError> {
//! use azkaban_standin::{Options, Standin};
//!
//! let standin = Standin::start(Options { ms_per_flow: 0.6, ..Options::default() }).await?;
//! println!("{}", standin.url());
//! assert_eq!(standin.stats().uploads, 0);
//! # Ok(())
//! # }
//! ```
//!
//! Three layers: `wire` reads requests and forms answers (pure), `state` remembers, `calls` decide; `connection` and
//! `server` carry them. Which flows a zip holds is decided by the loader of `flowlift-azkaban`.

mod calls;
mod connection;
mod data;
mod exec;
mod life;
mod options;
mod running;
mod server;
mod state;
mod wire;

pub use flowlift_azkaban::archive::ZipLimits;
pub use options::{Options, User};
pub use running::{Running, Standin, StartError};
pub use state::faults::Faults;
pub use state::stats::{Requests, Sizes, Stats};
pub use state::store::DataError;
