//! The thin shell around lapin: connections, declarations, confirmed publishing, reading streams.
//!
//! lapin's own recovery stays off: it leaves consumers hanging without a word when its tries are used up and brings back
//! consumers nobody reads. Whoever holds a [`Link`] drops everything on the first error and connects anew.

pub(crate) mod address;
mod consumers;
mod declare;
mod depth;
mod header;
mod letters;
mod link;
mod lock;
mod own;
mod parts;
mod probe;
mod publisher;
mod record;
mod run;
mod send;
mod setup;
mod standing;
mod stream;
mod tail;
pub(crate) mod tls;
mod wishes;

pub use address::broker_label;
pub use consumers::Consumers;
pub use declare::{declare, table};
pub use depth::{Depth, depth};
pub use header::text as header_text;
pub use letters::{Death, Facts, Found, Letters};
pub use link::{AmqpError, Link};
pub use lock::{lock, unlock};
pub use own::own_queue;
pub use parts::{FetchError, Parcel, delete_parts, fetch_parts, named, send_parts};
pub use publisher::{Notice, Outgoing, Publisher};
pub use record::{Needs, agree, look_at_record, permits, set_permits};
pub use run::OpenRun;
pub use send::{Headers, Sender, properties, trace_of, with_trace};
pub use setup::set_up;
pub use standing::standing;
pub use stream::{Read, Start, StreamReader};
pub use tail::{outcomes_until_now, runs_until_now};
pub use wishes::{Wishes, cancel_run, wish};
