//! A small HTTP server, and tables of corpora for `emovox corpus fetch --source`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The request of a client.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub path: String,
    /// First byte of the requested range.
    pub from: Option<usize>,
    pub if_range: Option<String>,
}

/// A server that replies to each request with `respond`, which gets the number of earlier requests.
pub struct Server {
    /// `http://` with host and port.
    pub address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub fn new(
        respond: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, respond) = (requests.clone(), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (log, respond) = (log.clone(), respond.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(request) = read_request(&mut stream) else {
                        return;
                    };
                    let number = {
                        let mut log = log.lock().unwrap();
                        log.push(request.clone());
                        log.len() - 1
                    };
                    respond(number, &request, &mut stream);
                });
            }
        });
        Server { address, requests }
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn read_request(stream: &mut TcpStream) -> Option<Request> {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
    }
    let text = String::from_utf8(text).unwrap();
    let mut request = Request {
        path: text.split(' ').nth(1)?.to_string(),
        ..Request::default()
    };
    for line in text.lines().skip(1) {
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name.to_lowercase().as_str() {
            "range" => {
                let from = value.trim_start_matches("bytes=").trim_end_matches('-');
                request.from = Some(from.parse().unwrap());
            }
            "if-range" => request.if_range = Some(value.to_string()),
            _ => {}
        }
    }
    Some(request)
}

/// Sends a reply: its head, and `body`, which may be shorter than the announced length.
pub fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    // The client may have disconnected.
    let _ = write!(
        stream,
        "HTTP/1.1 {status}\r\n{headers}Connection: close\r\n\r\n"
    );
    let _ = stream.write_all(body);
    let _ = stream.flush();
}

/// Replies with the whole body.
pub fn reply_whole(stream: &mut TcpStream, body: &[u8]) {
    let length = format!("Content-Length: {}\r\n", body.len());
    reply(stream, "200 OK", &length, body);
}

/// A table of corpora with a small EmoDB: four clips of two speakers and two classes. `download` is the
/// TOML text that describes its files.
pub fn corpus_table(download: &str) -> String {
    format!(
        "[[corpus]]
name = 'emodb'
title = 'A small EmoDB'
home = 'http://home.example'
licence = 'CC0'
cite = 'nobody'
megabytes = 1
unpacked_megabytes = 1
clips = 4
speakers = ['03', '08']
classes = {{ anger = 2, neutral = 2 }}
clips_per_speaker = 2
{download}"
    )
}

/// The description of an archive at `url` in a table of corpora.
pub fn archive_at(url: &str) -> String {
    format!("[[corpus.archive]]\nurl = '{url}'\ncompared = ''\n")
}
