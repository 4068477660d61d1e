//! A wire to RabbitMQ that breaks off, or stops, at a given point of what a program sends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use crate::patience::PATIENCE;

/// What happens when the program has sent the mark so many times.
enum Then {
    /// The connection breaks; later ones go through.
    Cut,
    /// Nothing goes through until the test says so.
    Stop {
        told: Sender<()>,
        go: Mutex<Receiver<()>>,
    },
}

/// A proxy in front of the broker.
pub(crate) struct Wire {
    /// The address of a vhost through it.
    pub(crate) url: String,
}

/// The test's end of a wire that stops.
pub(crate) struct Stop {
    told: Receiver<()>,
    go: Sender<()>,
}

impl Stop {
    /// Waits until the wire has stopped.
    pub(crate) fn wait(&self) {
        let told = self.told.recv_timeout(PATIENCE);
        told.expect("the program comes to that point");
    }

    /// Lets everything through again.
    pub(crate) fn go(&self) {
        self.go.send(()).expect("the wire stands");
    }
}

impl Wire {
    /// Breaks a connection off, once, when it has sent `mark` so many times.
    pub(crate) fn cutting(url: &str, mark: &'static [u8], times: usize) -> Self {
        Self::start(url, mark, times, Then::Cut)
    }

    /// Stops, once, when a connection has sent `mark` so many times.
    pub(crate) fn stopping(url: &str, mark: &'static [u8], times: usize) -> (Self, Stop) {
        let ((tell, told), (go, going)) = (channel(), channel());
        let then = Then::Stop {
            told: tell,
            go: Mutex::new(going),
        };
        (Self::start(url, mark, times, then), Stop { told, go })
    }

    fn start(url: &str, mark: &'static [u8], times: usize, then: Then) -> Self {
        let (head, rest) = url.rsplit_once('@').unwrap();
        let (server, vhost) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{head}@{}/{vhost}", listener.local_addr().unwrap());
        let (server, then, left) = (
            server.to_owned(),
            Arc::new(then),
            Arc::new(AtomicUsize::new(times)),
        );
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&server).unwrap());
                let (back_from, back_to) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                std::thread::spawn(move || pass(back_from, back_to, |_| true));
                let (then, left) = (Arc::clone(&then), Arc::clone(&left));
                std::thread::spawn(move || pass(near, far, |bytes| watch(bytes, mark, &left, &then)));
            }
        });
        Self { url }
    }
}

/// Passes bytes on until `goes_on` says no; then both ends are gone.
fn pass(mut from: TcpStream, mut to: TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut bytes = vec![0; 16 << 10];
    loop {
        match from.read(&mut bytes) {
            Ok(count) if count > 0 && goes_on(&bytes[..count]) => {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            _ => break,
        }
    }
    // gone already is as good
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// Counts the mark; what straddles two reads is not counted, which only moves the point a little.
fn watch(bytes: &[u8], mark: &[u8], left: &AtomicUsize, then: &Then) -> bool {
    let seen = bytes.windows(mark.len()).filter(|window| *window == mark).count();
    let before = left.load(Ordering::SeqCst);
    if before == 0 || seen == 0 {
        return true;
    }
    left.store(before.saturating_sub(seen), Ordering::SeqCst);
    if before > seen {
        return true;
    }
    match then {
        Then::Cut => false,
        Then::Stop { told, go } => {
            told.send(()).unwrap();
            go.lock().unwrap().recv().is_ok()
        }
    }
}
