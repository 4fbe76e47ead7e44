//! The messages of the server's protocol, as far as the fake speaks it. Tags as in the published
//! `streams.proto`, `server_features.proto` and `gossip.proto`.
#![expect(missing_docs, reason = "the names are the protocol's")]

use prost::{Message, Oneof};

#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

#[derive(Clone, PartialEq, Message)]
pub struct Uuid {
    #[prost(oneof = "UuidValue", tags = "1, 2")]
    pub value: Option<UuidValue>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum UuidValue {
    #[prost(message, tag = "1")]
    Structured(Halves),
    #[prost(string, tag = "2")]
    Text(String),
}
#[derive(Clone, PartialEq, Message)]
pub struct Halves {
    #[prost(int64, tag = "1")]
    pub high: i64,
    #[prost(int64, tag = "2")]
    pub low: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct StreamIdentifier {
    #[prost(bytes = "vec", tag = "3")]
    pub name: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Position {
    #[prost(uint64, tag = "1")]
    pub commit: u64,
    #[prost(uint64, tag = "2")]
    pub prepare: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadReq {
    #[prost(message, optional, tag = "1")]
    pub options: Option<ReadOptions>,
}
#[derive(Clone, PartialEq, Message)]
pub struct ReadOptions {
    #[prost(int32, tag = "3")]
    pub direction: i32,
    #[prost(oneof = "Source", tags = "1, 2")]
    pub source: Option<Source>,
    #[prost(oneof = "Count", tags = "5, 6")]
    pub count: Option<Count>,
    #[prost(oneof = "Filtering", tags = "7, 8")]
    pub filtering: Option<Filtering>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Source {
    #[prost(message, tag = "1")]
    Stream(FromStream),
    #[prost(message, tag = "2")]
    All(FromAll),
}
#[derive(Clone, PartialEq, Message)]
pub struct FromStream {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamIdentifier>,
    #[prost(oneof = "Revision", tags = "2, 3, 4")]
    pub revision: Option<Revision>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Revision {
    #[prost(uint64, tag = "2")]
    At(u64),
    #[prost(message, tag = "3")]
    Start(Empty),
    #[prost(message, tag = "4")]
    End(Empty),
}
#[derive(Clone, PartialEq, Message)]
pub struct FromAll {
    #[prost(oneof = "Place", tags = "1, 2, 3")]
    pub place: Option<Place>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Place {
    #[prost(message, tag = "1")]
    At(Position),
    #[prost(message, tag = "2")]
    Start(Empty),
    #[prost(message, tag = "3")]
    End(Empty),
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Count {
    #[prost(uint64, tag = "5")]
    Of(u64),
    #[prost(message, tag = "6")]
    Subscription(Empty),
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Filtering {
    #[prost(message, tag = "7")]
    By(Filter),
    #[prost(message, tag = "8")]
    None(Empty),
}
#[derive(Clone, PartialEq, Message)]
pub struct Filter {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<Expression>,
}
#[derive(Clone, PartialEq, Message)]
pub struct Expression {
    #[prost(string, tag = "1")]
    pub regex: String,
    #[prost(string, repeated, tag = "2")]
    pub prefixes: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ReadResp {
    #[prost(oneof = "Content", tags = "1, 2, 3, 4, 8")]
    pub content: Option<Content>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Content {
    #[prost(message, tag = "1")]
    Event(ReadEvent),
    #[prost(message, tag = "2")]
    Confirmation(Confirmation),
    #[prost(message, tag = "3")]
    Checkpoint(Position),
    #[prost(message, tag = "4")]
    NotFound(Empty),
    #[prost(message, tag = "8")]
    CaughtUp(Empty),
}
#[derive(Clone, PartialEq, Message)]
pub struct Confirmation {
    #[prost(string, tag = "1")]
    pub id: String,
}
#[derive(Clone, PartialEq, Message)]
pub struct ReadEvent {
    #[prost(message, optional, tag = "1")]
    pub event: Option<RecordedEvent>,
    #[prost(uint64, tag = "3")]
    pub commit: u64,
}
#[derive(Clone, PartialEq, Message)]
pub struct RecordedEvent {
    #[prost(message, optional, tag = "1")]
    pub id: Option<Uuid>,
    #[prost(message, optional, tag = "2")]
    pub stream: Option<StreamIdentifier>,
    #[prost(uint64, tag = "3")]
    pub revision: u64,
    #[prost(uint64, tag = "4")]
    pub prepare: u64,
    #[prost(uint64, tag = "5")]
    pub commit: u64,
    #[prost(map = "string, string", tag = "6")]
    pub metadata: std::collections::HashMap<String, String>,
    #[prost(bytes = "vec", tag = "7")]
    pub custom: Vec<u8>,
    #[prost(bytes = "vec", tag = "8")]
    pub data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AppendReq {
    #[prost(oneof = "Part", tags = "1, 2")]
    pub part: Option<Part>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Part {
    #[prost(message, tag = "1")]
    Options(AppendOptions),
    #[prost(message, tag = "2")]
    Event(Proposed),
}
#[derive(Clone, PartialEq, Message)]
pub struct AppendOptions {
    #[prost(message, optional, tag = "1")]
    pub stream: Option<StreamIdentifier>,
    #[prost(oneof = "ExpectedRevision", tags = "2, 3")]
    pub expected: Option<ExpectedRevision>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum ExpectedRevision {
    #[prost(uint64, tag = "2")]
    At(u64),
    #[prost(message, tag = "3")]
    NoStream(Empty),
}
#[derive(Clone, PartialEq, Message)]
pub struct Proposed {
    #[prost(message, optional, tag = "1")]
    pub id: Option<Uuid>,
    #[prost(map = "string, string", tag = "2")]
    pub metadata: std::collections::HashMap<String, String>,
    #[prost(bytes = "vec", tag = "3")]
    pub custom: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    pub data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct AppendResp {
    #[prost(oneof = "AppendResult", tags = "1, 2")]
    pub result: Option<AppendResult>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum AppendResult {
    #[prost(message, tag = "1")]
    Success(Success),
    #[prost(message, tag = "2")]
    WrongExpectedVersion(WrongExpectedVersion),
}
#[derive(Clone, PartialEq, Message)]
pub struct Success {
    #[prost(oneof = "CurrentRevision", tags = "1")]
    pub revision: Option<CurrentRevision>,
    #[prost(oneof = "AppendedAt", tags = "3, 4")]
    pub position: Option<AppendedAt>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum CurrentRevision {
    #[prost(uint64, tag = "1")]
    At(u64),
}
#[derive(Clone, PartialEq, Oneof)]
pub enum AppendedAt {
    #[prost(message, tag = "3")]
    Position(Position),
    #[prost(message, tag = "4")]
    NoPosition(Empty),
}
#[derive(Clone, PartialEq, Message)]
pub struct WrongExpectedVersion {
    #[prost(oneof = "Current", tags = "6, 7")]
    pub current: Option<Current>,
    #[prost(oneof = "Wanted", tags = "8, 11")]
    pub wanted: Option<Wanted>,
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Current {
    #[prost(uint64, tag = "6")]
    At(u64),
    #[prost(message, tag = "7")]
    NoStream(Empty),
}
#[derive(Clone, PartialEq, Oneof)]
pub enum Wanted {
    #[prost(uint64, tag = "8")]
    At(u64),
    #[prost(message, tag = "11")]
    NoStream(Empty),
}

#[derive(Clone, PartialEq, Message)]
pub struct SupportedMethods {
    #[prost(string, tag = "2")]
    pub version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct ClusterInfo {
    #[prost(message, repeated, tag = "1")]
    pub members: Vec<Member>,
}
#[derive(Clone, PartialEq, Message)]
pub struct Member {
    #[prost(int32, tag = "3")]
    pub state: i32,
    #[prost(bool, tag = "4")]
    pub is_alive: bool,
    #[prost(message, optional, tag = "5")]
    pub address: Option<Address>,
}
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    #[prost(string, tag = "1")]
    pub host: String,
    #[prost(uint32, tag = "2")]
    pub port: u32,
}
