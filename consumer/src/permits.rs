//! Permits: the bound on connections to one Azkaban over all consumers of a vhost.
//!
//! Azkaban gives a thread to each open connection, and some twenty of them stop it for everybody. So a fixed number of tokens
//! lies in a queue; who holds one, as an unacknowledged delivery, may have one connection open. The broker serves those who
//! wait in turn, and takes the tokens of a dead consumer back by itself. How the tokens come there stands in [`lay`].

mod lay;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flowlift_common::amqp::{self, AmqpError, Link};
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{sleep, timeout};

use lay::{ANSWERS_IN, Place};

pub use lay::DEFAULT_TOTAL;

/// Between two looks for tokens that are not where they lay.
const PAUSE: Duration = Duration::from_millis(50);

/// The way to permits on one link; cloned freely. After a lost connection it is opened anew on the next link.
#[derive(Clone)]
pub struct Permits {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    total: u16,
    /// Where the tokens lie, as far as this process knows.
    place: tokio::sync::Mutex<Place>,
    /// As many wait at the broker as there are tokens: more would only cost channels.
    slots: Arc<Semaphore>,
    idle: Mutex<Vec<Channel>>,
    waiting: AtomicUsize,
    held: AtomicUsize,
    runtime: Handle,
}

impl Permits {
    /// Sees to it that the tokens lie in their queue. `total` is what a person asks for; without it the number recorded in
    /// this vhost counts, else [`DEFAULT_TOTAL`]. A `total` other than the recorded one lays the tokens anew; permits that
    /// are held then still end by themselves, beside the new ones.
    ///
    /// # Errors
    /// [`AmqpError`]; the vhost's topology must be declared and agreed on before.
    pub async fn open(link: &Arc<Link>, total: Option<u16>) -> Result<Self, AmqpError> {
        let laid = lay::ensure(link, total).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                link: Arc::clone(link),
                total: laid.total,
                place: tokio::sync::Mutex::new(laid.place),
                slots: Arc::new(Semaphore::new(usize::from(laid.total))),
                idle: Mutex::default(),
                waiting: AtomicUsize::new(0),
                held: AtomicUsize::new(0),
                runtime: Handle::current(),
            }),
        })
    }

    /// How many there are, over all consumers.
    #[must_use]
    pub fn total(&self) -> u16 {
        self.inner.total
    }

    /// How many this process waits for now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Relaxed)
    }

    /// How many this process holds now.
    #[must_use]
    pub fn held(&self) -> usize {
        self.inner.held.load(Ordering::Relaxed)
    }

    /// Whether some of them are held by nobody; `false` also where that cannot be told.
    pub async fn are_free(&self) -> bool {
        let place = *self.inner.place.lock().await;
        let depth = timeout(ANSWERS_IN, amqp::depth(&self.inner.link, place.tokens())).await;
        depth.is_ok_and(|depth| depth.is_ok_and(|depth| depth.waiting > 0))
    }

    /// Waits for a permit. Who stops waiting (drops the future) leaves the token to others, also one that is on its way.
    ///
    /// # Errors
    /// [`AmqpError::Lost`] when the connection ends: then it is the broker that takes the permits of this process back.
    pub async fn acquire(&self) -> Result<Permit, AmqpError> {
        let inner = &self.inner;
        let _waiting = Counted::new(inner, |inner| &inner.waiting);
        let slot = Arc::clone(&inner.slots)
            .acquire_owned()
            .await
            .map_err(|_| lost("permits are closed"))?;
        let (answer, wait) = oneshot::channel();
        inner.runtime.spawn(take(Arc::clone(inner), slot, answer));
        wait.await.map_err(|_| lost("a permit was not brought"))?
    }
}

/// The right to have one connection to Azkaban open, as long as it lives.
pub struct Permit {
    token: Option<Token>,
}

struct Token {
    channel: Channel,
    delivery: Box<Delivery>,
    held: Counted,
}

impl Permit {
    /// Gives it back; dropping it does the same.
    pub fn release(self) {}
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(token) = self.token.take() {
            let runtime = token.held.inner.runtime.clone();
            runtime.spawn(give_back(token));
        }
    }
}

impl Inner {
    async fn channel(&self) -> Result<Channel, AmqpError> {
        let idle = self.idle().pop();
        match idle {
            Some(channel) if channel.status().connected() => Ok(channel),
            _ => {
                let channel = self.link.channel().await?;
                channel.basic_qos(1, BasicQosOptions::default()).await?;
                Ok(channel)
            }
        }
    }

    /// Where the tokens are to be asked for, after they were missing at a place. The first of those who miss them sees to it
    /// that they lie somewhere; the others wait for that.
    async fn after(&self, missing: Place) -> Result<Place, AmqpError> {
        let mut place = self.place.lock().await;
        if *place == missing {
            *place = lay::ensure(&self.link, None).await?.place;
        }
        Ok(*place)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Channel>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = oneshot::Sender<Result<Permit, AmqpError>>;

/// Brings a permit to whoever waits at the other end of `answer`. A task of its own that is never cut off half way: a
/// subscription whose future is dropped stays with the broker and swallows a token.
async fn take(inner: Arc<Inner>, slot: OwnedSemaphorePermit, mut answer: Answer) {
    let taken = token(&inner, &mut answer).await;
    drop(slot);
    let permit = match taken {
        Ok(None) => return,
        Ok(Some((channel, delivery))) => Ok(Permit {
            token: Some(Token {
                channel,
                delivery,
                held: Counted::new(&inner, |inner| &inner.held),
            }),
        }),
        Err(error) => Err(error),
    };
    // when nobody waits any more the permit comes back here, and is given back
    drop(answer.send(permit));
}

/// Waits where the tokens lie until one comes, also while they are laid anew; `None` when nobody wants it any more.
async fn token(inner: &Inner, answer: &mut Answer) -> Result<Option<(Channel, Box<Delivery>)>, AmqpError> {
    let mut place = *inner.place.lock().await;
    while !answer.is_closed() {
        let channel = inner.channel().await?;
        match next(&channel, place, answer).await? {
            Come::Token(delivery) => return Ok(Some((channel, delivery))),
            Come::NotWanted => inner.idle().push(channel),
            Come::Gone => {
                // what hangs there, or comes late, ends with the channel
                inner
                    .runtime
                    .spawn(async move { channel.close(200, "done".into()).await });
                sleep(PAUSE).await;
                place = inner.after(place).await?;
            }
        }
    }
    Ok(None)
}

/// What becomes of waiting at a place.
enum Come {
    Token(Box<Delivery>),
    /// Nobody waits any more.
    NotWanted,
    /// The tokens are gone, or their node is.
    Gone,
}

/// Takes one token and no more.
async fn next(channel: &Channel, place: Place, answer: &mut Answer) -> lapin::Result<Come> {
    let options = BasicConsumeOptions::default();
    let subscribing = channel.basic_consume(place.tokens().into(), "".into(), options, FieldTable::default());
    let mut consumer = match timeout(ANSWERS_IN, subscribing).await {
        Ok(Ok(consumer)) => consumer,
        Ok(Err(error)) if is_missing(&error) => return Ok(Come::Gone),
        Ok(Err(error)) => return Err(error),
        Err(_) => return Ok(Come::Gone),
    };
    let come = tokio::select! {
        come = consumer.next() => match come {
            Some(delivery) => Some(delivery?),
            None => return Ok(Come::Gone),
        },
        () = answer.closed() => None,
    };
    channel
        .basic_cancel(consumer.tag(), BasicCancelOptions::default())
        .await?;
    if let Some(delivery) = come {
        return Ok(Come::Token(Box::new(delivery)));
    }
    // one may have come before the cancel did; after it the subscription ends
    match consumer.next().await {
        Some(delivery) => Ok(Come::Token(Box::new(delivery?))),
        None => Ok(Come::NotWanted),
    }
}

fn is_missing(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(amqp) if amqp.get_id() == 404)
}

async fn give_back(token: Token) {
    let Token {
        channel,
        delivery,
        held,
    } = token;
    let options = BasicNackOptions {
        requeue: true,
        ..Default::default()
    };
    match delivery.nack(options).await {
        Ok(true) => held.inner.idle().push(channel),
        // with its channel or connection gone, the token is the broker's already
        Ok(false) => {}
        Err(error) => tracing::debug!(%error, "a permit went back with its connection"),
    }
}

fn lost(what: &str) -> AmqpError {
    AmqpError::Lost(what.to_owned())
}

/// One more in a count, as long as it lives.
struct Counted {
    inner: Arc<Inner>,
    count: fn(&Inner) -> &AtomicUsize,
}

impl Counted {
    fn new(inner: &Arc<Inner>, count: fn(&Inner) -> &AtomicUsize) -> Self {
        count(inner).fetch_add(1, Ordering::Relaxed);
        Self {
            inner: Arc::clone(inner),
            count,
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.count)(&self.inner).fetch_sub(1, Ordering::Relaxed);
    }
}
