//! Encrypted connections: what is wrong with a certificate or a file is said in one sentence, with its exit code.
//!
//! A proxy in the test speaks TLS in front of a plain server, so that it can have any certificate and ask for any.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::person::Person;
use crate::vhost::{SHARDS, Vhost};

/// Somebody who signs certificates.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: rustls::pki_types::CertificateDer<'static>,
}

/// A certificate and its key.
struct Signed {
    certificate: rcgen::Certificate,
    key: KeyPair,
}

impl Ca {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = uuid::Uuid::now_v7().to_string();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn signs(&self, name: &str, expired: bool) -> Signed {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2001, 1, 1);
            params.not_after = date_time_ymd(2002, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        Signed {
            certificate: params.signed_by(&key, &self.issuer).unwrap(),
            key,
        }
    }
}

/// Speaks TLS on a port of its own and hands on to a plain server; ends with the test.
struct Proxy {
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl Proxy {
    fn start(to: SocketAddr, server: &Signed, clients_of: Option<&Ca>) -> Self {
        let builder = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match clients_of {
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.der.clone()).unwrap();
                let provider = Arc::new(rustls::crypto::ring::default_provider());
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let key = PrivateKeyDer::Pkcs8(server.key.serialize_der().into());
        let config = builder
            .with_single_cert(vec![server.certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut inside = acceptor.accept(stream).await?;
                    let mut plain = tokio::net::TcpStream::connect(to).await?;
                    tokio::io::copy_bidirectional(&mut inside, &mut plain).await
                });
            }
        });
        Self {
            port,
            _runtime: runtime,
        }
    }
}

/// Where nobody listens: what fails before the plain server is asked needs none.
fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Where a plain server listens on IPv4.
fn host_of(authority: &str) -> SocketAddr {
    let host = authority.rsplit(['@', '/']).next().unwrap();
    host.to_socket_addrs().unwrap().find(SocketAddr::is_ipv4).unwrap()
}

/// Looks at the topology over TLS.
fn look(person: &Person, port: u16, more: &str) -> (i32, String) {
    let url = format!("amqps://guest:guest@127.0.0.1:{port}/%2f");
    let mut args = vec!["topology", "show", "--amqp-url", &url];
    args.extend(more.split_whitespace());
    let said = person.calls(&args);
    (said.code, said.err.trim_end().to_owned())
}

#[test]
fn a_broker_whose_certificate_proves_nothing_is_not_logged_in_to() {
    let (ca, stranger) = (Ca::new(), Ca::new());
    let person = Person::new();
    person.has("ca.pem", &ca.pem);
    person.has("stranger.pem", &stranger.pem);
    let good = Proxy::start(nobody(), &ca.signs("127.0.0.1", false), None);
    let old = Proxy::start(nobody(), &ca.signs("127.0.0.1", true), None);
    let other = Proxy::start(nobody(), &ca.signs("rabbit.example", false), None);
    let unknown = "the certificate of 127.0.0.1 is signed by nobody this machine knows; --amqp-ca-file names your own CA";
    for (port, more, words) in [
        (good.port, "", unknown),
        (good.port, "--amqp-ca-file stranger.pem", unknown),
        (
            old.port,
            "--amqp-ca-file ca.pem",
            "the certificate of 127.0.0.1 has expired",
        ),
        (
            other.port,
            "--amqp-ca-file ca.pem",
            "the certificate that answers at 127.0.0.1 is for another name",
        ),
    ] {
        let sentence = format!("RabbitMQ at 127.0.0.1:{port}/ cannot be trusted: {words}");
        assert_eq!(look(&person, port, more), (69, sentence));
    }
}

#[test]
fn files_for_tls_that_are_none_are_told_with_what_was_expected() {
    let ca = Ca::new();
    let person = Person::new();
    person.has("ca.pem", &ca.pem);
    person.has("empty.pem", "");
    for (more, sentence) in [
        (
            "--amqp-ca-file gone.pem",
            "the CA file for RabbitMQ gone.pem cannot be read: No such file or directory (os error 2)",
        ),
        (
            "--amqp-ca-file empty.pem",
            "the CA file for RabbitMQ empty.pem holds no certificate, expected PEM (-----BEGIN CERTIFICATE-----)",
        ),
        (
            "--amqp-cert-file ca.pem",
            "a client certificate needs its key, and a key its certificate: --amqp-cert-file and --amqp-key-file go together",
        ),
        (
            "--amqp-cert-file ca.pem --amqp-key-file empty.pem",
            "the key file empty.pem holds no private key, expected PEM (-----BEGIN PRIVATE KEY-----) without a password",
        ),
    ] {
        assert_eq!(look(&person, 1, more), (78, sentence.to_owned()), "{more}");
    }
}

#[test]
fn an_azkaban_is_trusted_by_its_own_ca_only() {
    let ca = Ca::new();
    let person = Person::new().with("FLOWLIFT_AZKABAN_PASSWORD", "azkaban");
    person.has("ca.pem", &ca.pem);
    person.has("empty.pem", "");
    let proxy = Proxy::start(nobody(), &ca.signs("127.0.0.1", false), None);
    let url = format!("https://127.0.0.1:{}", proxy.port);
    person.is_refused(
        &format!("list --azkaban-url {url}"),
        69,
        &format!(
            "cannot reach Azkaban at {url}: the certificate of 127.0.0.1 is signed by nobody this machine knows; --azkaban-ca-file names your own CA"
        ),
    );
    person.is_refused(
        &format!("list --azkaban-url {url} --azkaban-ca-file empty.pem"),
        78,
        "the CA file for Azkaban empty.pem holds no certificate, expected PEM (-----BEGIN CERTIFICATE-----)",
    );
    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}", plain.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = plain.accept().unwrap();
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    person.is_refused(
        &format!("list --azkaban-url {url} --azkaban-ca-file ca.pem"),
        69,
        &format!("cannot reach Azkaban at {url}: 127.0.0.1 speaks no TLS on this port"),
    );
}

#[test]
fn a_broker_behind_tls_is_used_and_wants_the_right_client_certificate() {
    let Some(vhost) = Vhost::new() else { return };
    let (authority, name) = vhost.url.rsplit_once('/').unwrap();
    let broker = host_of(authority);
    let (ca, stranger) = (Ca::new(), Ca::new());
    let person = Person::new().with("FLOWLIFT_SHARDS", &SHARDS.to_string());
    person.has("ca.pem", &ca.pem);
    for (file, signed) in [
        ("me", ca.signs("me", false)),
        ("other", stranger.signs("me", false)),
    ] {
        person.has(&format!("{file}.pem"), signed.certificate.pem());
        person.has(&format!("{file}.key"), signed.key.serialize_pem());
    }
    let server = ca.signs("127.0.0.1", false);
    let (open, mutual) = (
        Proxy::start(broker, &server, None),
        Proxy::start(broker, &server, Some(&ca)),
    );
    person.has("password", "guest\n");
    // the first node of the two is gone: the other one is used
    let publish = |port: u16, more: &str| {
        let gone = nobody().port();
        let url = format!("amqps://guest@127.0.0.1:{port},127.0.0.1:{gone}/{name}");
        let mut args = vec!["publish", "--project", "p", "--flows", "1", "--amqp-url", &url];
        args.extend(["--amqp-password-file", "password", "--amqp-ca-file", "ca.pem"]);
        args.extend(more.split_whitespace());
        let said = person.calls(&args);
        (said.code, said.err)
    };
    let (code, err) = publish(open.port, "");
    assert_eq!(code, 0, "{err}");
    let (code, err) = publish(mutual.port, "--amqp-cert-file me.pem --amqp-key-file me.key");
    assert_eq!(code, 0, "{err}");
    let refused = "wants a client certificate and does not take the one it got, or got none";
    for more in ["", "--amqp-cert-file other.pem --amqp-key-file other.key"] {
        let (code, err) = publish(mutual.port, more);
        assert!(code == 77 && err.contains(refused), "{code} {err}");
    }
    let plain = format!("amqp://guest@127.0.0.1:{}/{name}", open.port);
    let said = person.calls(&["runs", "--amqp-url", &plain]);
    assert!(
        said.code == 69
            && said
                .err
                .contains("it speaks TLS: the address begins with amqps:// then"),
        "{} {}",
        said.code,
        said.err
    );
}

#[test]
fn no_secret_is_said_whatever_the_level_of_logs() {
    const BROKER: &str = "broker-s3cret";
    const AZKABAN: &str = "azkaban-s3cret";
    let Some(vhost) = Vhost::new() else { return };
    let person = Person::new()
        .with("FLOWLIFT_SHARDS", &SHARDS.to_string())
        .with("FLOWLIFT_AMQP_URL", &vhost.user(BROKER))
        .with("FLOWLIFT_AMQP_PASSWORD", BROKER)
        .with("FLOWLIFT_AZKABAN_PASSWORD", AZKABAN)
        .with("FLOWLIFT_LOG_LEVEL", "trace");
    let run = person.calls(&["publish", "--project", "p", "--flows", "1"]);
    assert_eq!(run.code, 0, "{}", run.err);
    let id = run.out.trim().to_owned();
    let azkaban = format!("http://127.0.0.1:{}", nobody().port());
    let mut said = vec![run];
    for (args, code) in [
        (vec!["config"], 0),
        (vec!["config", "--json"], 0),
        (vec!["runs", "--json"], 0),
        // nobody consumes: there are no outcomes
        (vec!["show", "--run", &id, "--json"], 66),
        (vec!["status"], 0),
        (vec!["report", &id, "--html", "r.html"], 0),
        (vec!["wait", &id, "--timeout", "1s"], 75),
        (vec!["list", "--azkaban-url", &azkaban], 69),
    ] {
        let one = person.calls(&args);
        // the texts matter whatever the code, but a command that did not run proves nothing
        assert_eq!(one.code, code, "{args:?}: {}", one.err);
        said.push(one);
    }
    let page = std::fs::read_to_string(person.path().join("r.html")).unwrap();
    for text in said.iter().flat_map(|said| [&said.out, &said.err]).chain([&page]) {
        for secret in [BROKER, AZKABAN] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None);
        }
    }
    vhost.forget();
}
