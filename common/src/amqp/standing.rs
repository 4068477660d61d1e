//! Work that ends when its connection does.
//!
//! lapin 4.12 can leave a request unanswered for good where the connection breaks at the moment it is made (tried: one in five
//! cuts right behind the opening of a channel). Whoever waits for an answer therefore looks from time to time whether the
//! connection still stands.

use std::pin::pin;
use std::time::Duration;

use lapin::ConnectionStatus;
use tokio::time::{MissedTickBehavior, interval};

use super::AmqpError;

/// Between two looks. An error that is under way comes within this.
const LOOK: Duration = Duration::from_secs(2);

/// Runs something that asks the broker.
///
/// # Errors
/// The work's own; [`AmqpError::Lost`] where the connection was gone at two looks and the work has not noticed.
pub async fn standing<T, E: From<AmqpError>>(
    status: &ConnectionStatus,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let mut work = pin!(work);
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gone = false;
    loop {
        tokio::select! {
            biased;
            done = &mut work => return done,
            _ = look.tick() => {
                if status.connected() {
                    gone = false;
                } else if std::mem::replace(&mut gone, true) {
                    return Err(AmqpError::Lost("it ended while an answer was waited for".into()).into());
                }
            }
        }
    }
}
