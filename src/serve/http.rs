//! Speaks HTTP with clients.

use std::convert::Infallible;
use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, LOCATION,
    REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use partita_reports::Comparison;
use partita_reports::site::{POLICY, files_page, run_page};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::access::{Access, Credentials, Decision};
use super::answer::{Answer, Known, answer, content_type};
use super::body::{Content, Impatient, piped, whole};
use super::compared::Compared;
use super::events;
use super::files::Root;
use super::index::Index;
use super::route::{Inside, pairs, route};

/// The most connections at a time; others wait until one of them ends.
const MOST_CONNECTIONS: usize = 128;
/// The most streams of events at a time.
const MOST_STREAMS: usize = 32;
/// How long a client may take to send the head of a request, and nothing of an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last; a stream of events goes on by a new one.
const LONGEST_CONNECTION: Duration = Duration::from_secs(30 * 60);
/// The most bytes and the most lines that the head of a request may have.
const LONGEST_HEAD: usize = 32 << 10;
const MOST_HEADERS: usize = 64;
/// How much of a file is read at once, in bytes.
const PIECE: u64 = 64 << 10;
/// How many files a list of files has.
const MOST_FILES: usize = 2_000;

/// What pages of ours may do that are shown as they lie in a folder: run their own script, and reach
/// nothing, not even the site that they come from.
const FILE_POLICY: &str = "sandbox allow-scripts allow-forms allow-popups; default-src 'none'; \
     style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; form-action 'none'; \
     frame-ancestors 'none'; base-uri 'none'";

/// Puts the runs in two folders side by side; the error is a text for a reader.
pub type Comparer = dyn Fn([&Path; 2]) -> Result<Comparison, String> + Send + Sync;

/// What is served, and where.
pub struct Settings {
    /// The folder of runs.
    pub folder: PathBuf,
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// What must be shown if that is not on loopback.
    pub token: String,
    /// How two runs are compared.
    pub compare: Box<Comparer>,
}

struct Site {
    root: Arc<Root>,
    index: Mutex<Index>,
    access: Access,
    compared: Compared,
    compare: Box<Comparer>,
    comparing: Semaphore,
    streams: Arc<Semaphore>,
}

/// Serves a folder of runs until `end` comes to its end; `ready` is told the address to open.
///
/// # Errors
///
/// If there is no such folder, or the address cannot be listened on.
pub async fn serve(
    settings: Settings,
    ready: impl FnOnce(&str),
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let root = Arc::new(Root::open(&settings.folder)?);
    let listener = TcpListener::bind(settings.listen).await?;
    let address = listener.local_addr()?;
    let access = match address.ip().is_loopback() {
        true => Access::loopback(),
        false => Access::by_token(settings.token, address.port()),
    };
    let query = access.token().map_or_else(String::new, |token| format!("?token={token}"));
    ready(&format!("http://{address}/{query}"));
    let site = Arc::new(Site {
        index: Mutex::new(Index::new(Arc::clone(&root))),
        root,
        access,
        compared: Compared::default(),
        compare: settings.compare,
        comparing: Semaphore::new(1),
        streams: Arc::new(Semaphore::new(MOST_STREAMS)),
    });
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let accept = async {
        loop {
            let Ok(place) = Arc::clone(&connections).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => _ = tokio::spawn(connection(Arc::clone(&site), stream, place)),
                // Out of descriptors: there will be some when a connection ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    tokio::select! {
        () = accept => {}
        () = end => {}
    }
    Ok(())
}

/// Answers the requests of one connection.
async fn connection(site: Arc<Site>, stream: TcpStream, place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let site = Arc::clone(&site);
        async move { Ok::<_, Infallible>(site.respond(&request).await) }
    });
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    server.max_buf_size(LONGEST_HEAD).max_headers(MOST_HEADERS);
    let stream = TokioIo::new(Impatient::new(stream, PATIENCE));
    // That a client went away or sent nonsense is no event.
    let _ =
        tokio::time::timeout(LONGEST_CONNECTION, server.serve_connection(stream, service)).await;
    drop(place);
}

impl Site {
    async fn respond(self: &Arc<Self>, request: &Request<Incoming>) -> Response<Content> {
        let mut response = match self.refusal(request) {
            Some(refusal) => refusal,
            None => self.answered(request).await,
        };
        let headers = response.headers_mut();
        let fixed: [(HeaderName, &'static str); 4] = [
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (X_FRAME_OPTIONS, "DENY"),
            (REFERRER_POLICY, "no-referrer"),
            (CACHE_CONTROL, "no-store"),
        ];
        for (name, value) in fixed {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
        response
    }

    /// The answer to a request that may not be made; `None` if this one may.
    fn refusal(&self, request: &Request<Incoming>) -> Option<Response<Content>> {
        let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
        let query = pairs(request.uri().query().unwrap_or_default());
        let token = query.iter().find(|(name, _)| name == "token").map(|(_, value)| value.as_str());
        let asked_host = request.uri().authority().map(http::uri::Authority::as_str);
        let decision = self.access.decide(&Credentials {
            host: asked_host.or(header(HOST)),
            token,
            cookies: header(COOKIE),
            authorization: header(AUTHORIZATION),
        });
        let message = |status, title, text| Some(page(Answer::message(status, title, text)));
        match decision {
            Decision::Allowed if [Method::GET, Method::HEAD].contains(request.method()) => None,
            Decision::Allowed => {
                let text = "This site is read and never written.";
                let mut response = page(Answer::message(405, "Only GET and HEAD", text));
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                Some(response)
            }
            Decision::Keep { cookie } => {
                let mut response = see(request.uri().path());
                let cookie = HeaderValue::from_str(&cookie).ok()?;
                response.headers_mut().insert(SET_COOKIE, cookie);
                Some(response)
            }
            Decision::NoToken => {
                let text = "Open the address that `partita serve` printed: it ends with a token.";
                message(401, "A token is needed", text)
            }
            Decision::WrongHost => {
                let text = "This site is asked for by a name of this machine, such as localhost.";
                message(421, "Not this site", text)
            }
        }
    }

    async fn answered(self: &Arc<Self>, request: &Request<Incoming>) -> Response<Content> {
        let route = route(request.uri().path(), request.uri().query().unwrap_or_default());
        let site = Arc::clone(self);
        let decided = tokio::task::spawn_blocking(move || {
            let known = site.known()?;
            Ok::<_, io::Error>((answer(route, &known), known))
        });
        let (answer, known) = match decided.await {
            Ok(Ok(both)) => both,
            Ok(Err(error)) => {
                let text = format!("The folder cannot be read: {error}");
                return page(Answer::message(500, "Not readable", &text));
            }
            Err(_) => return page(Answer::message(500, "Failed", "The page could not be made.")),
        };
        match answer {
            Answer::Page { .. } => page(answer),
            Answer::Asset { kind, text } => {
                let mut response = Response::new(whole(text));
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
            Answer::See(address) => see(&address),
            Answer::Run(run) => self.run(run, known).await,
            Answer::Files(path) => self.files(path, request.uri().path()).await,
            Answer::Events(run) => {
                let last = request.headers().get("last-event-id");
                let last = last.and_then(|value| value.to_str().ok()?.parse().ok());
                self.events(run, last.unwrap_or_default())
            }
            Answer::Compare(a, b) => self.compare(a, b).await,
        }
    }

    fn known(&self) -> io::Result<Arc<Known>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).known()
    }

    async fn run(self: &Arc<Self>, run: Inside, known: Arc<Known>) -> Response<Content> {
        let root = Arc::clone(&self.root);
        blocking(move || {
            let files = root.list(Some(&run), MOST_FILES).unwrap_or_default();
            let Some(entry) = known.entry(&run) else { return page(Answer::not_found()) };
            let folder = root.path_of(&run).display().to_string();
            html(200, run_page(entry, &files, &known.entries, &folder))
        })
        .await
    }

    async fn files(self: &Arc<Self>, path: Inside, address: &str) -> Response<Content> {
        let (root, is_folder) = (Arc::clone(&self.root), address.ends_with('/'));
        let slashed = format!("{address}/");
        blocking(move || {
            if !root.is_folder(&path) {
                return file(&root, &path);
            }
            if !is_folder {
                return see(&slashed);
            }
            match root.list(Some(&path), MOST_FILES) {
                Ok(files) => html(200, files_page(&path.path(), &files)),
                Err(_) => page(Answer::not_found()),
            }
        })
        .await
    }

    fn events(&self, run: Inside, from: u64) -> Response<Content> {
        let Ok(place) = Arc::clone(&self.streams).try_acquire_owned() else {
            let text = "Too many pages follow runs already; close one of them.";
            return page(Answer::message(503, "Busy", text));
        };
        let (sender, content) = piped();
        let root = Arc::clone(&self.root);
        tokio::spawn(async move {
            events::follow(root, run, from, sender).await;
            drop(place);
        });
        let mut response = Response::new(content);
        let kind = HeaderValue::from_static("text/event-stream; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn compare(self: &Arc<Self>, a: Inside, b: Inside) -> Response<Content> {
        let Ok(Ok(turn)) = tokio::time::timeout(PATIENCE, self.comparing.acquire()).await else {
            return page(Answer::message(503, "Busy", "Other runs are being compared; try again."));
        };
        let site = Arc::clone(self);
        let response = blocking(move || {
            let (status, text) = site.compared.page(&site.root, [&a, &b], &*site.compare);
            html(status, text)
        })
        .await;
        drop(turn);
        response
    }
}

/// What a thread that may wait for disks makes.
async fn blocking(make: impl FnOnce() -> Response<Content> + Send + 'static) -> Response<Content> {
    let made = tokio::task::spawn_blocking(make).await;
    made.unwrap_or_else(|_| page(Answer::message(500, "Failed", "The page could not be made.")))
}

fn html(status: u16, text: String) -> Response<Content> {
    let mut response = Response::new(whole(text));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// An answer that is a page already; anything else is none.
fn page(answer: Answer) -> Response<Content> {
    match answer {
        Answer::Page { status, html: text } => html(status, text),
        _ => html(500, String::new()),
    }
}

/// Another address of this site: it begins with one slash.
fn see(address: &str) -> Response<Content> {
    let mut response = html(303, String::new());
    let address = format!("/{}", address.trim_start_matches('/'));
    if let Ok(address) = HeaderValue::from_str(&address) {
        response.headers_mut().insert(LOCATION, address);
    }
    response
}

/// A file as it lies in its folder, as long as it is now.
fn file(root: &Root, path: &Inside) -> Response<Content> {
    let Ok((file, metadata)) = root.file(path) else { return page(Answer::not_found()) };
    let (kind, is_page) = content_type(path.name());
    let length = metadata.len();
    let (sender, content) = piped();
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(FILE_POLICY));
    if !is_page && !kind.starts_with("text/") {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    tokio::spawn(send(file, length, sender));
    response
}

/// Sends so many bytes of a file, a piece after the other has been taken.
async fn send(file: File, length: u64, sender: Sender<Result<Bytes, Infallible>>) {
    let (mut file, mut left) = (file, length);
    while left > 0 {
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            let read = (&mut file).take(left.min(PIECE)).read_to_end(&mut bytes);
            read.map(|_| (file, bytes))
        });
        let Ok(Ok((same, bytes))) = read.await else { return };
        // The file was cut off meanwhile: the client sees that less came than was announced.
        if bytes.is_empty() {
            return;
        }
        left -= bytes.len() as u64;
        file = same;
        if sender.send(Ok(Bytes::from(bytes))).await.is_err() {
            return;
        }
    }
}
