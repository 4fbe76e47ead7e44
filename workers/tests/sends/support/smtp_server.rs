//! A mail server of a few lines: it takes mails, or answers as it is told to.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
    task::{JoinHandle, JoinSet},
};
use tokio_rustls::TlsAcceptor;

/// How the server protects its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    None,
    Starttls,
    Implicit,
}

/// What the server does at a command instead of saying yes.
#[derive(Debug, Clone, Copy)]
pub enum Word {
    Say(&'static str),
    Hang,
    Close,
    /// Only at `STARTTLS`: a line that is to be read after TLS has begun.
    Smuggle(&'static str),
}

/// A mail that it took.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    pub from: String,
    pub to: String,
    pub content: String,
    pub login: String,
    pub is_protected: bool,
}

/// An authority of its own, and a certificate by it.
pub struct Authority {
    folder: TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    /// With a certificate for this host.
    pub fn for_host(host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        Self { folder, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub fn ca_file(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.pem")
    }
}

#[derive(Default)]
struct Shared {
    script: Mutex<HashMap<&'static str, VecDeque<Word>>>,
    taken: Mutex<Vec<Taken>>,
    connections: AtomicUsize,
    wants_login: bool,
}

pub struct SmtpServer {
    pub port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const LOGIN: &str = "AGFkYQBodW50ZXIy"; // "\0ada\0hunter2"

impl SmtpServer {
    pub async fn plain(script: impl IntoIterator<Item = (&'static str, Word)>) -> Self {
        Self::start(Protection::None, None, false, script).await
    }

    pub async fn start(
        protection: Protection,
        authority: Option<&Authority>,
        wants_login: bool,
        script: impl IntoIterator<Item = (&'static str, Word)>,
    ) -> Self {
        let mut words: HashMap<_, VecDeque<_>> = HashMap::new();
        for (verb, word) in script {
            words.entry(verb).or_default().push_back(word);
        }
        let shared = Arc::new(Shared { script: Mutex::new(words), wants_login, ..Shared::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = authority.map(|authority| authority.acceptor.clone());
        let server = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut sessions = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, acceptor) = (Arc::clone(&server), acceptor.clone());
                sessions.spawn(async move {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let mut session = Session { shared, acceptor, taken: Taken::default(), is_protected: false };
                    if protection == Protection::Implicit {
                        let Ok(stream) = session.acceptor.take().unwrap().accept(stream).await else { return };
                        session.is_protected = true;
                        session.greet(Box::new(stream)).await;
                    } else {
                        if protection == Protection::None {
                            session.acceptor = None;
                        }
                        session.greet(Box::new(stream)).await;
                    }
                });
            }
        });
        Self { port, shared, task }
    }

    pub fn taken(&self) -> Vec<Taken> {
        self.shared.taken.lock().unwrap().clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

struct Session {
    shared: Arc<Shared>,
    acceptor: Option<TlsAcceptor>,
    taken: Taken,
    is_protected: bool,
}

impl Session {
    async fn greet(mut self, mut stream: Box<dyn Stream>) {
        if stream.write_all(b"220 mail.example.com\r\n").await.is_err() {
            return;
        }
        if let Some(acceptor) = self.talk(&mut stream).await
            && let Ok(stream) = acceptor.accept(stream).await
        {
            self.is_protected = true;
            let mut stream: Box<dyn Stream> = Box::new(stream);
            self.talk(&mut stream).await;
        }
    }

    /// Until the end, or until TLS is to begin.
    async fn talk(&mut self, stream: &mut Box<dyn Stream>) -> Option<TlsAcceptor> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let verb = line.split([' ', '\r', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let word = self.shared.script.lock().unwrap().get_mut(verb.as_str()).and_then(VecDeque::pop_front);
            let smuggled = match word {
                Some(Word::Say(word)) => {
                    stream.write_all(format!("{word}\r\n").as_bytes()).await.ok()?;
                    continue;
                }
                Some(Word::Hang) => std::future::pending().await,
                Some(Word::Close) => return None,
                Some(Word::Smuggle(line)) => line,
                None => "",
            };
            let answer = match verb.as_str() {
                "EHLO" => self.features(),
                "STARTTLS" => {
                    stream.write_all(format!("220 go\r\n{smuggled}").as_bytes()).await.ok()?;
                    return self.acceptor.take();
                }
                "AUTH" => {
                    line.trim().rsplit(' ').next().unwrap_or_default().clone_into(&mut self.taken.login);
                    if self.taken.login == LOGIN { "235 welcome" } else { "535 5.7.8 no such user <ada>" }.to_owned()
                }
                "MAIL" if self.shared.wants_login && self.taken.login != LOGIN => "530 5.7.0 log in".to_owned(),
                "MAIL" => {
                    line.trim().clone_into(&mut self.taken.from);
                    "250 ok".to_owned()
                }
                "RCPT" => {
                    line.trim().clone_into(&mut self.taken.to);
                    "250 ok".to_owned()
                }
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    self.taken.content.clear();
                    loop {
                        line.clear();
                        if stream.read_line(&mut line).await.ok()? == 0 {
                            return None;
                        }
                        if line == ".\r\n" {
                            break;
                        }
                        self.taken.content.push_str(line.strip_prefix('.').unwrap_or(&line));
                    }
                    let word = self.shared.script.lock().unwrap().get_mut("CONTENT").and_then(VecDeque::pop_front);
                    if !matches!(word, Some(Word::Say(_))) {
                        let is_protected = self.is_protected;
                        self.shared.taken.lock().unwrap().push(Taken { is_protected, ..self.taken.clone() });
                    }
                    match word {
                        Some(Word::Say(word)) => word.to_owned(),
                        Some(Word::Hang) => std::future::pending().await,
                        Some(Word::Close) => return None,
                        Some(Word::Smuggle(_)) | None => "250 queued".to_owned(),
                    }
                }
                "QUIT" => return None,
                _ => "500 what?".to_owned(),
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }

    fn features(&self) -> String {
        let mut lines = vec!["250-mail.example.com".to_owned()];
        if self.acceptor.is_some() && !self.is_protected {
            lines.push("250-STARTTLS".to_owned());
        }
        if self.shared.wants_login {
            lines.push("250-AUTH PLAIN".to_owned());
        }
        lines.push("250 8BITMIME".to_owned());
        lines.join("\r\n")
    }
}
