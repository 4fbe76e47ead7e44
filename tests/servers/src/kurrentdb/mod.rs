//! A server that speaks enough of KurrentDB's protocol for the adapter, over real connections, and fails on
//! demand. It is no proof that a real server does the same; that is what the contract over
//! `COUNTERSIGN_TEST_KURRENTDB` is for.
#![expect(
    missing_docs,
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::result_large_err,
    reason = "of the tests alone; the error is the protocol's library's"
)]

pub mod journal;
pub mod under_test;
pub mod wire;

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future::BoxFuture, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codec::ProstCodec,
    codegen::http,
    metadata::MetadataMap,
    server::{Grpc, NamedService},
    transport::{Server as GrpcServer, server::Connected},
};

use tower::service_fn;

use self::{
    journal::{Draft, Journal, Verdict},
    wire::{
        Address, AppendReq, AppendResp, AppendResult, AppendedAt, ClusterInfo, Confirmation, Content, Count, Current,
        CurrentRevision, Empty, ExpectedRevision, Filter, Filtering, Member, Part, Place, Position, ReadReq, ReadResp,
        Revision, Source, StreamIdentifier, Success, SupportedMethods, UuidValue, Wanted, WrongExpectedVersion,
    },
};

/// What happens to the next append instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is stored, and the connection breaks before the answer.
    StoreThenDrop,
    /// The connection breaks, and nothing is stored.
    DropBefore,
    /// It is stored, and no answer comes.
    StoreThenHang,
    /// The server is not ready.
    NotReady,
    /// It is stored, and the answer does not say where.
    NoPosition,
    /// The answer of a server that knows only the oldest fields: the client panics on it.
    OldConflict,
    /// It is larger than the server takes.
    TooLarge,
}

/// How the server is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    pub version: Option<&'static str>,
    /// `Basic …` that is asked for.
    pub authorization: Option<String>,
    /// Whether reads of `$all` are filtered; else they are refused.
    pub filters_reads: bool,
    /// Whether it knows streams at all.
    pub has_streams: bool,
    /// Who leads instead.
    pub leader: Option<SocketAddr>,
    /// Whom the cluster consists of, with whether each leads.
    pub members: Vec<(SocketAddr, bool)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            version: Some("25.0.1"),
            authorization: None,
            filters_reads: true,
            has_streams: true,
            leader: None,
            members: Vec::new(),
        }
    }
}

/// The part of a server that outlives its connections.
pub struct Core {
    journal: Mutex<Journal>,
    length: watch::Sender<usize>,
    setup: Mutex<Setup>,
    faults: Mutex<VecDeque<Fault>>,
    connections: Mutex<CancellationToken>,
    subscriptions: Mutex<CancellationToken>,
    ends_well: AtomicBool,
    /// Where each subscription began.
    begun: Mutex<Vec<Place>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap()
}

pub struct FakeServer {
    pub core: Arc<Core>,
    pub address: SocketAddr,
    serving: Mutex<Option<JoinHandle<()>>>,
}

impl FakeServer {
    pub async fn start() -> Arc<Self> {
        Self::start_with(Setup::default()).await
    }

    pub async fn start_with(setup: Setup) -> Arc<Self> {
        let core = Core {
            journal: Mutex::default(),
            length: watch::Sender::default(),
            setup: Mutex::new(setup),
            faults: Mutex::default(),
            connections: Mutex::default(),
            subscriptions: Mutex::default(),
            ends_well: AtomicBool::new(false),
            begun: Mutex::default(),
        };
        Self::over(Arc::new(core)).await
    }

    /// Another node over the same journal.
    pub async fn over(core: Arc<Core>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Self { core, address, serving: Mutex::default() };
        server.serve(listener);
        Arc::new(server)
    }

    pub fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.address)
    }

    fn serve(&self, listener: TcpListener) {
        let core = Arc::clone(&self.core);
        let incoming = stream::unfold((listener, Arc::clone(&core)), |(listener, core)| async move {
            let accepted = listener.accept().await.map(|(socket, _)| {
                let cut = locked(&core.connections).clone();
                Cuttable { socket, is_cut: Box::pin(cut.cancelled_owned()) }
            });
            Some((accepted, (listener, core)))
        });
        let served = GrpcServer::builder()
            .add_service(Streams(Arc::clone(&core)))
            .add_service(Features(Arc::clone(&core)))
            .add_service(Gossip(core))
            .serve_with_incoming(incoming);
        *locked(&self.serving) = Some(tokio::spawn(async move { drop(served.await) }));
    }

    /// Breaks every connection.
    pub fn cut_connections(&self) {
        std::mem::take(&mut *locked(&self.core.connections)).cancel();
    }

    /// As if it were killed: nobody listens any more.
    pub async fn stop(&self) {
        let serving = locked(&self.serving).take();
        if let Some(serving) = serving {
            serving.abort();
            drop(serving.await);
        }
        self.cut_connections();
    }

    pub async fn restart(&self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        if let Some(serving) = locked(&self.serving).take() {
            serving.abort();
        }
        self.cut_connections();
    }
}

impl Core {
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        locked(&self.journal)
    }
    pub fn set_up(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut locked(&self.setup));
    }
    pub fn fail_next(&self, fault: Fault) {
        locked(&self.faults).push_back(fault);
    }
    /// Tells the subscriptions that the journal has grown.
    pub fn announce(&self) {
        self.length.send_replace(self.journal().records.len());
    }
    /// Where the subscriptions began, oldest first.
    pub fn subscriptions(&self) -> Vec<Place> {
        locked(&self.begun).clone()
    }
    /// Ends every subscription with an error.
    pub fn drop_subscriptions(&self) {
        std::mem::take(&mut *locked(&self.subscriptions)).cancel();
    }
    /// Ends every subscription as if all were said.
    pub fn finish_subscriptions(&self) {
        self.ends_well.store(true, Ordering::SeqCst);
        self.drop_subscriptions();
    }

    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let setup = locked(&self.setup).clone();
        if !setup.has_streams {
            return Err(Status::unimplemented("no such service"));
        }
        let given = metadata.get("authorization").and_then(|value| value.to_str().ok());
        if setup.authorization.is_some() && setup.authorization.as_deref() != given {
            return Err(Status::unauthenticated("wrong user or password"));
        }
        if let (Some(leader), true) = (setup.leader, metadata.get("requires-leader").is_some()) {
            let mut status = Status::not_found("Leader info available");
            for (name, value) in [
                ("exception", "not-leader".to_owned()),
                ("leader-endpoint-host", leader.ip().to_string()),
                ("leader-endpoint-port", leader.port().to_string()),
            ] {
                status.metadata_mut().insert(name, value.parse().unwrap());
            }
            return Err(status);
        }
        Ok(())
    }

    async fn append(&self, request: Request<Streaming<AppendReq>>) -> Result<Response<AppendResp>, Status> {
        self.admit(request.metadata())?;
        let (mut stream, mut expected, mut drafts) = (String::new(), None, Vec::new());
        let parts: Vec<AppendReq> = request.into_inner().try_collect().await?;
        for part in parts {
            match part.part.unwrap() {
                Part::Options(options) => {
                    stream = name(options.stream);
                    expected = match options.expected.unwrap() {
                        ExpectedRevision::At(revision) => Some(revision),
                        ExpectedRevision::NoStream(_) => None,
                    };
                }
                Part::Event(event) => drafts.push(Draft {
                    id: id(event.id),
                    kind: event.metadata["type"].clone(),
                    content_type: event.metadata["content-type"].clone(),
                    custom: event.custom,
                    data: event.data,
                }),
            }
        }
        let fault = locked(&self.faults).pop_front();
        let cut = || std::mem::take(&mut *locked(&self.connections)).cancel();
        match fault {
            Some(Fault::DropBefore) => cut(),
            Some(Fault::NotReady) => return Err(Status::unavailable("Server Is Not Ready")),
            Some(Fault::TooLarge) => return Err(Status::invalid_argument("Maximum Append Size of 1048576 Exceeded.")),
            Some(Fault::OldConflict) => {
                let old = WrongExpectedVersion { current: None, wanted: None };
                return Ok(Response::new(AppendResp { result: Some(AppendResult::WrongExpectedVersion(old)) }));
            }
            _ => {}
        }
        if fault == Some(Fault::DropBefore) {
            return std::future::pending().await;
        }
        let verdict = self.journal().append(&stream, expected, drafts);
        self.announce();
        match fault {
            Some(Fault::StoreThenDrop) => {
                cut();
                return std::future::pending().await;
            }
            Some(Fault::StoreThenHang) => return std::future::pending().await,
            _ => {}
        }
        let result = match verdict {
            Verdict::Appended(revision, position) => {
                let position = if fault == Some(Fault::NoPosition) {
                    AppendedAt::NoPosition(Empty {})
                } else {
                    AppendedAt::Position(Position { commit: position, prepare: position })
                };
                let revision = Some(CurrentRevision::At(revision));
                AppendResult::Success(Success { revision, position: Some(position) })
            }
            Verdict::Wrong(last) => AppendResult::WrongExpectedVersion(WrongExpectedVersion {
                current: Some(last.map_or(Current::NoStream(Empty {}), Current::At)),
                wanted: Some(expected.map_or(Wanted::NoStream(Empty {}), Wanted::At)),
            }),
            Verdict::Deleted => return Err(deleted(&stream)),
        };
        Ok(Response::new(AppendResp { result: Some(result) }))
    }

    fn read(self: Arc<Self>, request: Request<ReadReq>) -> Result<Response<Answers>, Status> {
        self.admit(request.metadata())?;
        let options = request.into_inner().options.unwrap();
        let backwards = options.direction == 1;
        let filter = match options.filtering {
            Some(Filtering::By(filter)) => Some(filter),
            _ => None,
        };
        let count = match options.count.unwrap() {
            Count::Of(count) => usize::try_from(count).unwrap_or(usize::MAX),
            Count::Subscription(_) => {
                let Some(Source::All(all)) = options.source else { return Err(Status::unimplemented("not here")) };
                return Ok(Response::new(self.subscribe(all.place.unwrap(), filter)));
            }
        };
        let answers: Vec<_> = match options.source.unwrap() {
            Source::Stream(from) => {
                let stream = name(from.stream);
                if self.journal().is_deleted(&stream) {
                    return Err(deleted(&stream));
                }
                let revision = from.revision.unwrap_or(Revision::Start(Empty {}));
                self.journal().read_stream(&stream, &revision, backwards, count).map_or_else(
                    || vec![ReadResp { content: Some(Content::NotFound(Empty {})) }],
                    |records| records.into_iter().map(self::journal::Record::response).collect(),
                )
            }
            Source::All(from) => {
                if filter.is_some() && !locked(&self.setup).filters_reads {
                    return Err(Status::unknown("Unexpected FilterOptionOneofCase"));
                }
                let place = from.place.unwrap();
                let journal = self.journal();
                let records = journal.read_all(&place, backwards, filter.as_ref(), count);
                records.into_iter().map(self::journal::Record::response).collect()
            }
        };
        Ok(Response::new(stream::iter(answers.into_iter().map(Ok)).boxed()))
    }

    fn subscribe(self: Arc<Self>, from: Place, filter: Option<Filter>) -> Answers {
        let place = self.journal().place_after(&from);
        locked(&self.begun).push(from);
        let ended = locked(&self.subscriptions).clone();
        let confirmed = Content::Confirmation(Confirmation { id: "fake".to_owned() });
        let length = self.length.subscribe();
        let core = Arc::clone(&self);
        let events = stream::unfold((self, place, length, filter), |(core, place, mut length, filter)| async move {
            loop {
                length.borrow_and_update();
                let answer = core.journal().subscribed(place, filter.as_ref());
                if let Some(answer) = answer {
                    return Some((answer, (core, place + 1, length, filter)));
                }
                length.changed().await.ok()?;
            }
        });
        stream::iter([ReadResp { content: Some(confirmed) }])
            .chain(events)
            .map(Ok)
            .take_until(ended.cancelled_owned())
            .chain(stream::iter(std::iter::once_with(move || core.ends_well.swap(false, Ordering::SeqCst))).flat_map(
                |ends_well| {
                    stream::iter((!ends_well).then(|| Err(Status::unavailable("the subscription was dropped"))))
                },
            ))
            .boxed()
    }
}

type Answers = Pin<Box<dyn Stream<Item = Result<ReadResp, Status>> + Send>>;

fn name(stream: Option<StreamIdentifier>) -> String {
    String::from_utf8(stream.unwrap().name).unwrap()
}

fn id(id: Option<self::wire::Uuid>) -> uuid::Uuid {
    match id.unwrap().value.unwrap() {
        UuidValue::Structured(halves) => {
            uuid::Uuid::from_u64_pair(halves.high.cast_unsigned(), halves.low.cast_unsigned())
        }
        UuidValue::Text(text) => text.parse().unwrap(),
    }
}

fn deleted(stream: &str) -> Status {
    let mut status = Status::failed_precondition(format!("Event stream '{stream}' is deleted."));
    status.metadata_mut().insert("exception", "stream-deleted".parse().unwrap());
    status
}

#[derive(Clone)]
struct Streams(Arc<Core>);
#[derive(Clone)]
struct Features(Arc<Core>);
#[derive(Clone)]
struct Gossip(Arc<Core>);

impl NamedService for Streams {
    const NAME: &'static str = "event_store.client.streams.Streams";
}
impl NamedService for Features {
    const NAME: &'static str = "event_store.client.server_features.ServerFeatures";
}
impl NamedService for Gossip {
    const NAME: &'static str = "event_store.client.gossip.Gossip";
}

type Answer = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

impl Streams {
    fn answer(&self, request: http::Request<Body>) -> Answer {
        let core = Arc::clone(&self.0);
        async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("Append") => {
                    let append = service_fn(move |request| {
                        let core = Arc::clone(&core);
                        async move { core.append(request).await }
                    });
                    Grpc::new(ProstCodec::default()).client_streaming(append, request).await
                }
                Some("Read") => {
                    let read = service_fn(move |request| std::future::ready(Arc::clone(&core).read(request)));
                    Grpc::new(ProstCodec::default()).server_streaming(read, request).await
                }
                _ => Status::unimplemented("not here").into_http(),
            })
        }
        .boxed()
    }
}

impl Features {
    fn answer(&self, request: http::Request<Body>) -> Answer {
        let version = locked(&self.0.setup).version;
        async move {
            let features = service_fn(move |_: Request<Empty>| {
                let features = version
                    .map(|version| Response::new(SupportedMethods { version: version.to_owned() }))
                    .ok_or_else(|| Status::unimplemented("not here"));
                std::future::ready(features)
            });
            Ok(Grpc::new(ProstCodec::default()).unary(features, request).await)
        }
        .boxed()
    }
}

impl Gossip {
    fn answer(&self, request: http::Request<Body>) -> Answer {
        let members = locked(&self.0.setup).members.clone();
        async move {
            let gossip = service_fn(move |_: Request<Empty>| {
                let members = members.iter().map(|(address, leads)| Member {
                    state: if *leads { 8 } else { 6 },
                    is_alive: true,
                    address: Some(Address { host: address.ip().to_string(), port: address.port().into() }),
                });
                std::future::ready(Ok::<_, Status>(Response::new(ClusterInfo { members: members.collect() })))
            });
            Ok(Grpc::new(ProstCodec::default()).unary(gossip, request).await)
        }
        .boxed()
    }
}

macro_rules! served {
    ($($service:ty)+) => {
        $(impl tower::Service<http::Request<Body>> for $service {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = Answer;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, request: http::Request<Body>) -> Answer {
                self.answer(request)
            }
        })+
    };
}
served!(Streams Features Gossip);

/// A connection that can be cut from this side at any time.
struct Cuttable {
    socket: TcpStream,
    is_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Cuttable {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.is_cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.socket).poll_read(context, into)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

impl Connected for Cuttable {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}
