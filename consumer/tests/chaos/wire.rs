//! A TCP proxy between our programs and a server, which can be cut, silenced and restored. Between consumers and Azkaban it
//! also counts: connections, uploads that are under way, and uploads of one project at the same time.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The form fields of an upload stand before the zip, within this many bytes.
const HEAD: usize = 16 * 1024;

/// What a wire does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Lets everything through.
    Open,
    /// Breaks every connection off, new ones too, as a server that is gone.
    Refused,
    /// Lets nothing through and breaks nothing off, as a network that is gone.
    Silent,
}

/// What went through.
#[derive(Debug, Clone, Default)]
pub(crate) struct Traffic {
    /// Connections open now.
    pub(crate) open: usize,
    /// The most that were open at the same time.
    pub(crate) open_max: usize,
    /// Uploads begun.
    pub(crate) uploads: u64,
    /// Uploads under way, by project.
    under_way: BTreeMap<String, usize>,
    /// Uploads that began while one of the same project was under way.
    pub(crate) overlapped: u64,
    /// The next so many answers to uploads are swallowed and their connections broken off.
    swallow: u32,
    /// How many were.
    pub(crate) swallowed: u32,
}

impl Traffic {
    /// Uploads under way.
    pub(crate) fn under_way(&self) -> usize {
        self.under_way.values().sum()
    }
}

/// The proxy; it ends when dropped.
pub(crate) struct Wire {
    /// host:port where it listens.
    pub(crate) address: String,
    line: watch::Sender<Line>,
    /// Counts cuts; a connection ends when the number is another one than at its beginning.
    cuts: watch::Sender<u64>,
    traffic: Arc<Mutex<Traffic>>,
    _tasks: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let (line, cuts) = (watch::Sender::new(Line::Open), watch::Sender::new(0));
        let traffic = Arc::<Mutex<Traffic>>::default();
        let pipe = Pipe {
            server: server.to_owned(),
            line: line.clone(),
            cuts: cuts.clone(),
            traffic: Arc::clone(&traffic),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut pipes = JoinSet::new();
            loop {
                tokio::select! {
                    near = listener.accept() => {
                        let Ok((near, _)) = near else { continue };
                        pipes.spawn(pipe.clone().carry(near));
                    }
                    Some(_) = pipes.join_next() => {}
                }
            }
        });
        Self {
            address,
            line,
            cuts,
            traffic,
            _tasks: tasks,
        }
    }

    /// Breaks all connections off; new ones are let through.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on the server seems gone.
    pub(crate) fn refuse(&self) {
        self.line.send_replace(Line::Refused);
        self.cut();
    }

    /// From now on the network seems gone: nothing comes through, and nobody is told.
    pub(crate) fn silence(&self) {
        self.line.send_replace(Line::Silent);
    }

    /// Everything comes through again; what a silence held back does not, its connections end.
    pub(crate) fn restore(&self) {
        if self.line.send_replace(Line::Open) == Line::Silent {
            self.cut();
        }
    }

    /// Swallows the answers to the next uploads.
    pub(crate) fn swallow_answers(&self, count: u32) {
        self.traffic.lock().expect("unharmed").swallow = count;
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic.lock().expect("unharmed").clone()
    }
}

#[derive(Clone)]
struct Pipe {
    server: String,
    line: watch::Sender<Line>,
    cuts: watch::Sender<u64>,
    traffic: Arc<Mutex<Traffic>>,
}

impl Pipe {
    async fn carry(self, near: TcpStream) {
        if *self.line.borrow() == Line::Refused {
            return;
        }
        let Ok(far) = TcpStream::connect(&self.server).await else {
            return;
        };
        let count = Count::open(&self.traffic);
        let (mut cuts, begun) = (self.cuts.subscribe(), *self.cuts.borrow());
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        let upload = Arc::new(Mutex::new(Upload {
            head: Some(Vec::new()),
            project: None,
            traffic: Arc::clone(&self.traffic),
        }));
        let there = pump(near_in, far_out, self.line.subscribe(), |bytes| {
            upload.lock().expect("unharmed").sent(bytes);
            true
        });
        let back = pump(far_in, near_out, self.line.subscribe(), |_| {
            upload.lock().expect("unharmed").may_be_answered()
        });
        // Azkaban closes as soon as it has answered: from then on it has a thread free, and somebody else may connect, though
        // the other direction is still being closed here
        let carried = async {
            let (mut there, mut back) = (pin!(there), pin!(back));
            tokio::select! {
                () = &mut there => { drop(count); back.await; }
                () = &mut back => { drop(count); there.await; }
            }
        };
        tokio::select! {
            () = carried => {}
            _ = cuts.wait_for(|cuts| *cuts != begun) => {}
        }
    }
}

/// Carries one direction until its end; `pass` sees each piece and says whether it may go on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut line: watch::Receiver<Line>,
    mut pass: impl FnMut(&[u8]) -> bool,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if line.wait_for(|line| *line != Line::Silent).await.is_err() || !pass(&buffer[..length]) {
            break;
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// An open connection, counted.
struct Count(Arc<Mutex<Traffic>>);

impl Count {
    fn open(traffic: &Arc<Mutex<Traffic>>) -> Self {
        let mut counted = traffic.lock().expect("unharmed");
        counted.open += 1;
        counted.open_max = counted.open_max.max(counted.open);
        Self(Arc::clone(traffic))
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.0.lock().expect("unharmed").open -= 1;
    }
}

/// What a connection's first bytes tell: whether it carries an upload, and of which project.
struct Upload {
    /// Collected while it is not known yet.
    head: Option<Vec<u8>>,
    project: Option<String>,
    traffic: Arc<Mutex<Traffic>>,
}

impl Upload {
    fn sent(&mut self, bytes: &[u8]) {
        let Some(head) = &mut self.head else { return };
        head.extend_from_slice(bytes);
        let text = String::from_utf8_lossy(head);
        let project = text.split_once("name=\"project\"").and_then(|(_, rest)| {
            let (_, rest) = rest.split_once("\r\n\r\n")?;
            rest.split_once("\r\n").map(|(name, _)| name.to_lowercase())
        });
        let is_upload = text.starts_with("POST /manager") && text.contains("multipart/form-data");
        if is_upload && let Some(project) = project {
            let mut traffic = self.traffic.lock().expect("unharmed");
            traffic.uploads += 1;
            let under_way = traffic.under_way.entry(project.clone()).or_default();
            *under_way += 1;
            let overlaps = *under_way > 1;
            traffic.overlapped += u64::from(overlaps);
            self.project = Some(project);
            self.head = None;
        } else if head.len() > HEAD || !(head.len() < 4 || head.starts_with(b"POST")) {
            self.head = None;
        }
    }

    fn may_be_answered(&self) -> bool {
        if self.project.is_none() {
            return true;
        }
        let mut traffic = self.traffic.lock().expect("unharmed");
        if traffic.swallow == 0 {
            return true;
        }
        traffic.swallow -= 1;
        traffic.swallowed += 1;
        false
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(project) = &self.project
            && let Some(under_way) = self.traffic.lock().expect("unharmed").under_way.get_mut(project)
        {
            *under_way -= 1;
        }
    }
}
