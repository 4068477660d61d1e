//! Publishes many messages with a window of confirms and goes on by itself when the broker was gone.
//!
//! A message counts as queued when a queue has confirmed it. What was sent and not confirmed when a connection broke is sent
//! again; it may then be there twice, which the order of changes makes harmless.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel};
use lapin::{Confirmation, PublisherConfirm};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::declare::declare_again;
use super::parts::{Parcel, declare_parts, delete_parts};
use super::send::with_trace;
use super::{AmqpError, Headers, Link, properties, send};
use crate::backoff::Backoff;
use crate::envelope::{Envelope, Packed};
use crate::parts;
use crate::trace::TraceContext;

/// Messages sent and not yet confirmed. Wider brings little (measured), narrower costs rate.
const WINDOW: usize = 500;
/// Bytes sent and not yet confirmed; bounds the producer's memory with large units.
const WINDOW_BYTES: usize = 32 * 1024 * 1024;
/// After this long without a confirm the broker is said to be blocked; publishing goes on waiting.
const BLOCKED_AFTER: Duration = Duration::from_secs(10);
/// How often is looked whether the connection of a confirm that is waited for still stands.
const LOOK: Duration = Duration::from_secs(2);
/// How long the deletion of parts that nothing will name may take.
const ORPHANED: Duration = Duration::from_secs(2);
/// The delays between tries to connect anew.
const RECONNECT: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// A message on its way.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The queue.
    pub queue: String,
    /// The body.
    pub body: Bytes,
    /// What has to lie in a queue of its own before this message is sent: it names it.
    pub parcel: Option<Parcel>,
    /// The properties.
    pub properties: BasicProperties,
    /// What the caller wants to hear when it is confirmed.
    pub tag: u64,
}

impl Outgoing {
    /// A packed body of this envelope; one that is too large for a message goes in parts.
    #[must_use]
    pub fn of(frame: &Envelope, packed: Packed, queue: String, tag: u64) -> Self {
        let headers = Headers::of(frame, packed.first, packed.last);
        let (headers, body, parcel) = match packed.outline {
            None => (headers, packed.body, None),
            Some(outline) => {
                let parcel = Parcel::of(frame.run, packed.first, packed.body);
                (
                    headers.with_parts(&parcel.named),
                    parts::outline(outline),
                    Some(parcel),
                )
            }
        };
        Self {
            queue,
            body: body.into(),
            parcel,
            properties: properties(&headers),
            tag,
        }
    }

    /// With the trace it belongs to, for whoever works it off.
    #[must_use]
    pub fn traced(mut self, trace: Option<&TraceContext>) -> Self {
        if let Some(trace) = trace {
            self.properties = with_trace(self.properties, trace);
        }
        self
    }
}

/// What a publisher tells while it works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The broker has the message with this tag.
    Confirmed(u64),
    /// The connection is lost; it tries again.
    Lost(String),
    /// It is connected again and has sent the unconfirmed messages once more.
    Back,
    /// This queue was gone, with all that lay in it; it was declared anew and the message sent again.
    Remade(String),
    /// No confirm for a while: the broker has an alarm (memory, disk) or is very slow.
    Blocked,
}

/// A message sent and not yet confirmed.
struct Sent {
    message: Outgoing,
    confirm: PublisherConfirm,
    way: Way,
}

/// How a message came to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    First,
    /// Its queue was declared anew for it.
    Again,
    /// It is a part of a body, of which nobody hears anything by itself.
    Part,
}

/// A window of confirms over a connection that is renewed when it breaks.
pub struct Publisher<F: FnMut(Notice)> {
    url: String,
    name: String,
    shards: Option<u16>,
    link: Link,
    channel: Channel,
    window: VecDeque<Sent>,
    bytes: usize,
    stop: CancellationToken,
    notice: F,
}

impl<F: FnMut(Notice)> Publisher<F> {
    /// Connects. `stop` ends waiting for a broker that is gone.
    pub async fn open(url: &str, name: &str, stop: CancellationToken, notice: F) -> Result<Self, AmqpError> {
        let link = Link::connect(url, name).await?;
        let channel = confirmed(&link).await?;
        let (url, name) = (url.to_owned(), name.to_owned());
        Ok(Self {
            url,
            name,
            shards: None,
            link,
            channel,
            window: VecDeque::new(),
            bytes: 0,
            stop,
            notice,
        })
    }

    /// From here on a queue of a topology of so many shards is declared anew where a message finds it missing.
    pub fn remakes_queues_of(&mut self, shards: u16) {
        self.shards = Some(shards);
    }

    /// The connection in use, for what else has to be written on it.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Sends a message as soon as the window has room.
    ///
    /// # Errors
    /// [`AmqpError::NotTaken`] when a queue refuses an earlier message; [`AmqpError::Missing`] when a queue is gone and not
    /// to be remade, or gone again right after; [`AmqpError::Lost`] only when stopped meanwhile.
    pub async fn send(&mut self, mut message: Outgoing) -> Result<(), AmqpError> {
        if let Some(parcel) = message.parcel.take() {
            self.send_parcel(&parcel).await?;
        }
        self.make_room(message.body.len()).await?;
        self.transmit(message, Way::First).await
    }

    async fn make_room(&mut self, bytes: usize) -> Result<(), AmqpError> {
        while self.window.len() >= WINDOW || (self.bytes + bytes > WINDOW_BYTES && !self.window.is_empty()) {
            self.confirm_one().await?;
        }
        Ok(())
    }

    /// Sends the parts of a body; when this returns they and everything before them are confirmed. So the message that names
    /// them never comes before them, and a run that ends here has not counted it.
    async fn send_parcel(&mut self, parcel: &Parcel) -> Result<(), AmqpError> {
        let queue = parcel.named.queue().name;
        let mut sent = self.parts_of(parcel).await;
        if matches!(&sent, Err(AmqpError::Missing { queue: gone, .. }) if *gone == queue) {
            // somebody deleted it meanwhile: the parts confirmed before are gone with it
            self.forget(&queue);
            sent = self.parts_of(parcel).await;
        }
        if sent.is_err() {
            self.forget(&queue);
            // nothing will ever name them; where this fails the queue expires
            let _ = timeout(
                ORPHANED,
                delete_parts(&self.link, parcel.named.run, parcel.named.seq),
            )
            .await;
        }
        sent
    }

    async fn parts_of(&mut self, parcel: &Parcel) -> Result<(), AmqpError> {
        self.with_link(async |link| declare_parts(link, parcel).await)
            .await?;
        let queue = parcel.named.queue().name;
        for (body, properties) in parcel.parts() {
            self.make_room(body.len()).await?;
            let part = Outgoing {
                queue: queue.clone(),
                body,
                parcel: None,
                properties,
                tag: 0,
            };
            self.transmit(part, Way::Part).await?;
        }
        self.flush().await
    }

    /// Waits no more for the confirms of what went to a queue.
    fn forget(&mut self, queue: &str) {
        self.window.retain(|sent| sent.message.queue != queue);
        self.bytes = self.window.iter().map(|sent| sent.message.body.len()).sum();
    }

    /// Waits until everything sent is confirmed.
    pub async fn flush(&mut self) -> Result<(), AmqpError> {
        while !self.window.is_empty() {
            self.confirm_one().await?;
        }
        Ok(())
    }

    /// Runs something on the connection, on a new one as often as it breaks.
    pub async fn with_link<T>(
        &mut self,
        action: impl AsyncFn(&Link) -> Result<T, AmqpError>,
    ) -> Result<T, AmqpError> {
        loop {
            match self.link.standing(action(&self.link)).await {
                Err(AmqpError::Lost(reason)) => self.reconnect(reason).await?,
                other => return other,
            }
        }
    }

    /// Closes the connection; unconfirmed messages are given up.
    pub async fn close(self) {
        self.link.close().await;
    }

    async fn transmit(&mut self, message: Outgoing, way: Way) -> Result<(), AmqpError> {
        loop {
            match self
                .link
                .standing(publish(&self.link, &self.channel, &message))
                .await
            {
                Ok(confirm) => {
                    self.bytes += message.body.len();
                    self.window.push_back(Sent {
                        message,
                        confirm,
                        way,
                    });
                    return Ok(());
                }
                Err(error) => self.reconnect(error.to_string()).await?,
            }
        }
    }

    async fn confirm_one(&mut self) -> Result<(), AmqpError> {
        let Some(first) = self.window.front_mut() else {
            return Ok(());
        };
        let begun = Instant::now();
        let status = self.link.connection().status().clone();
        let mut said = begun;
        let confirmed = loop {
            if send::is_lost(begun.elapsed(), &status) {
                return self.reconnect("a confirm did not come".into()).await;
            }
            if said.elapsed() >= BLOCKED_AFTER {
                said = Instant::now();
                (self.notice)(Notice::Blocked);
            }
            tokio::select! {
                confirmed = &mut first.confirm => break confirmed,
                () = tokio::time::sleep(LOOK) => if !status.connected() {
                    return self.reconnect("it ended while a confirm was waited for".into()).await;
                },
                () = self.stop.cancelled() => return Err(AmqpError::Lost("interrupted".into())),
            }
        };
        match confirmed {
            Ok(confirmation) => match self.window.pop_front() {
                Some(sent) => self.judged(sent, confirmation).await,
                None => Ok(()),
            },
            Err(error) => self.reconnect(error.to_string()).await,
        }
    }

    /// A message whose queue somebody deleted is sent once more, after the queue was declared anew.
    async fn judged(&mut self, sent: Sent, confirmation: Confirmation) -> Result<(), AmqpError> {
        let message = sent.message;
        self.bytes -= message.body.len();
        match (send::judge(confirmation, &message.queue), self.shards) {
            (Err(AmqpError::Missing { .. }), Some(shards)) if sent.way == Way::First => {
                let queue = message.queue.clone();
                self.with_link(async |link| declare_again(link, shards, &queue).await)
                    .await?;
                (self.notice)(Notice::Remade(queue));
                self.transmit(message, Way::Again).await
            }
            (Err(error), _) => Err(error),
            (Ok(()), _) if sent.way == Way::Part => Ok(()),
            (Ok(()), _) => {
                (self.notice)(Notice::Confirmed(message.tag));
                Ok(())
            }
        }
    }

    /// Connects anew and sends the unconfirmed messages again, in their order.
    async fn reconnect(&mut self, reason: String) -> Result<(), AmqpError> {
        (self.notice)(Notice::Lost(reason));
        let backoff = Backoff::new(RECONNECT.0, RECONNECT.1);
        for attempt in 0.. {
            tokio::select! {
                () = tokio::time::sleep(backoff.delay(attempt, rand::random())) => {}
                () = self.stop.cancelled() => return Err(AmqpError::Lost("interrupted".into())),
            }
            match self.resume().await {
                Ok(()) => break,
                Err(error) if error.is_transient() => {
                    tracing::debug!(%error, attempt, "RabbitMQ is still gone");
                }
                Err(error) => return Err(error),
            }
        }
        (self.notice)(Notice::Back);
        Ok(())
    }

    async fn resume(&mut self) -> Result<(), AmqpError> {
        let link = Link::connect(&self.url, &self.name).await?;
        let channel = confirmed(&link).await?;
        for sent in &mut self.window {
            sent.confirm = link.standing(publish(&link, &channel, &sent.message)).await?;
        }
        (self.link, self.channel) = (link, channel);
        Ok(())
    }
}

async fn confirmed(link: &Link) -> Result<Channel, AmqpError> {
    let channel = link.channel().await?;
    let confirming = async {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok::<(), AmqpError>(())
    };
    link.standing(confirming).await?;
    Ok(channel)
}

async fn publish(link: &Link, channel: &Channel, message: &Outgoing) -> Result<PublisherConfirm, AmqpError> {
    let options = BasicPublishOptions {
        mandatory: true,
        ..Default::default()
    };
    let user = link.connection().status().username();
    let properties = send::signed(message.properties.clone(), &user);
    Ok(channel
        .basic_publish(
            "".into(),
            message.queue.as_str().into(),
            options,
            &message.body,
            properties,
        )
        .await?)
}
