//! Where dead letters are looked at: one person at a time, because what one looks at is hidden from the other meanwhile.

use std::time::Duration;

use flowlift_common::amqp::{Found, Letters, Link, lock, unlock};
use flowlift_common::config::Settings;
use flowlift_common::topology::DEAD_READER;
use tokio::time::{Instant, sleep};

use super::letter::{Letter, read};
use crate::exit::Failure;
use crate::publish::set_up;
use crate::reporter::Reporter;

/// How long somebody else's look is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// From when on the waiting is said.
const SAID_AFTER: Duration = Duration::from_millis(700);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);

/// A connection that may look through the dead letters.
pub struct Desk {
    /// The connection.
    pub link: Link,
    /// K.
    pub shards: u16,
}

impl Desk {
    /// Connects, and waits until nobody else looks at the letters.
    pub async fn open(settings: &Settings, reporter: &Reporter) -> Result<Self, Failure> {
        let link = Link::connect(settings.amqp_url(), "flowlift dead").await?;
        set_up(&link, settings, reporter).await?;
        let desk = Self {
            link,
            shards: settings.shards,
        };
        desk.sit_down(reporter).await?;
        Ok(desk)
    }

    /// Waits until nobody else looks at the letters.
    pub async fn sit_down(&self, reporter: &Reporter) -> Result<(), Failure> {
        let began = Instant::now();
        let mut said = false;
        while !lock(&self.link, DEAD_READER).await? {
            if began.elapsed() > PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(Failure::TimedOut(format!(
                    "somebody else has been looking through the dead letters for {seconds} s; nothing was done, try again when they have finished"
                )));
            }
            if !said && began.elapsed() > SAID_AFTER {
                reporter
                    .warn("somebody else is looking through the dead letters; waiting for them to finish");
                said = true;
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Lets others look while a person thinks.
    pub async fn stand_up(&self) -> Result<(), Failure> {
        Ok(unlock(&self.link, DEAD_READER).await?)
    }

    /// Looks at every letter, and leaves all of them where they are.
    pub async fn look(
        &self,
        mut each: impl AsyncFnMut(Letter, Found) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut letters = Letters::of(&self.link);
        let mut seen = Ok(());
        while let Some(found) = letters.next().await? {
            let letter = read(&found.body, &found.facts);
            seen = each(letter, found).await;
            if seen.is_err() {
                break;
            }
        }
        letters.give_back().await?;
        seen
    }

    /// Ends the connection.
    pub async fn close(&self) {
        self.link.close().await;
    }
}
