//! `emovox serve` in tests: the process, and clients of it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::Child;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::TestEnv;
use super::process::{DEADLINE, send, spawn, wait_for_exit, wait_until};

/// A running server. It is killed when a test ends.
pub struct Served {
    child: Child,
    pub address: SocketAddr,
    log: Receiver<String>,
}

impl Served {
    /// Starts `emovox serve` with further arguments, and waits until it accepts connections.
    #[track_caller]
    pub fn start(env: &TestEnv, arguments: &str) -> Served {
        let mut child = spawn(env.command(&format!(
            "serve --device cpu --address 127.0.0.1:0 {arguments}"
        )));
        let (sender, log) = mpsc::channel();
        let mut error = child.stderr.take().unwrap();
        thread::spawn(move || {
            let mut text = String::new();
            // The test sees a text that is not UTF-8 as an empty one, and fails.
            let _ = error.read_to_string(&mut text);
            let _ = sender.send(text);
        });
        let (sender, line) = mpsc::channel();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut line = String::new();
            let _ = out.read_line(&mut line);
            let _ = sender.send(line);
        });
        let line = line
            .recv_timeout(DEADLINE)
            .expect("the line with the address");
        let address = line
            .strip_prefix("listening on http://")
            .and_then(|rest| rest.trim_end().strip_suffix('/'))
            .and_then(|address| address.parse().ok());
        let Some(address) = address else {
            let _ = child.kill();
            panic!("no address in {line:?}: {:?}", log.recv_timeout(DEADLINE));
        };
        Served {
            child,
            address,
            log,
        }
    }

    /// A connection whose reads and writes have a deadline.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect_timeout(&self.address, DEADLINE).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends a request with a body, and returns the answer.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
        let mut stream = self.connect();
        let length = body.len();
        let header = self.header(
            method,
            path,
            &format!("Content-Length: {length}\r\n{headers}"),
        );
        stream.write_all(header.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        Reply::read(stream)
    }

    /// The header of a request that closes its connection.
    pub fn header(&self, method: &str, path: &str, headers: &str) -> String {
        let host = self.address;
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n")
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.send("GET", path, "", b"")
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &[u8]) -> Reply {
        self.send("POST", path, "", body)
    }

    /// The value of a line in `/metrics`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let mut lines = text.lines().filter_map(|line| line.rsplit_once(' '));
        let value = lines.find_map(|(found, value)| (found == name).then_some(value));
        value.map_or(0.0, |value| value.parse().unwrap())
    }

    #[track_caller]
    pub fn wait_for_metric(&self, name: &str, value: f64) {
        wait_until(&format!("{name} {value}"), || self.metric(name) == value);
    }

    /// Opens a WebSocket; the answer instead of it if the server rejects it.
    pub fn stream(&self, query: &str, headers: &str) -> Result<Stream, Reply> {
        let mut stream = self.connect();
        let host = self.address;
        let request = format!(
            "GET /v1/stream{query} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut header = Vec::new();
        let mut byte = [0];
        while !header.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            header.push(byte[0]);
        }
        let reply = Reply::of(&header);
        if reply.status != 101 {
            let length: usize = reply.headers["content-length"].parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            return Err(Reply { body, ..reply });
        }
        assert_eq!(
            reply.headers["sec-websocket-accept"],
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        let socket = WebSocket::from_raw_socket(stream, Role::Client, None);
        Ok(Stream { socket, reply })
    }

    pub fn signal(&self, signal: i32) {
        send(self.child.id(), signal);
    }

    /// Waits for the end of the process. Returns its exit code and its standard error.
    #[track_caller]
    pub fn end(mut self) -> (i32, String) {
        let code = wait_for_exit(&mut self.child).code().unwrap_or(-1);
        (code, self.log.recv_timeout(DEADLINE).unwrap())
    }

    /// Stops the server, and returns its standard error.
    #[track_caller]
    pub fn stop(self) -> String {
        self.signal(libc::SIGTERM);
        let (code, log) = self.end();
        assert_eq!(code, 0, "{log}");
        log
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // The process may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer of a server.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// By their names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    /// Reads an answer up to the end of its connection.
    #[track_caller]
    pub fn read(mut stream: TcpStream) -> Reply {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Reply::of(&bytes)
    }

    #[track_caller]
    fn of(bytes: &[u8]) -> Reply {
        let header = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        let header =
            header.unwrap_or_else(|| panic!("no answer in {:?}", String::from_utf8_lossy(bytes)));
        let text = std::str::from_utf8(&bytes[..header]).unwrap();
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let pairs = lines.map(|line| line.split_once(": ").unwrap());
        Reply {
            status,
            headers: pairs
                .map(|(name, value)| (name.to_lowercase(), value.into()))
                .collect(),
            body: bytes[header + 4..].to_vec(),
        }
    }

    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The JSON value of a successful answer.
    #[track_caller]
    pub fn value(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Asserts that the answer is an error with this status and this code, and returns the message.
    #[track_caller]
    pub fn fails_with(&self, status: u16, code: &str) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let value: Value = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(value["error"]["code"], code, "{value}");
        value["error"]["message"].as_str().unwrap().to_string()
    }
}

/// The client of a WebSocket.
pub struct Stream {
    socket: WebSocket<TcpStream>,
    pub reply: Reply,
}

impl Stream {
    pub fn send(&mut self, message: Message) {
        self.socket.send(message).unwrap();
    }

    /// All text messages up to the end, and the close frame.
    #[track_caller]
    pub fn rest(mut self) -> (Vec<Value>, Option<CloseFrame>) {
        let mut lines = Vec::new();
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => lines.push(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(frame)) => return (lines, frame),
                Ok(_) => {}
                Err(Error::ConnectionClosed) => return (lines, None),
                Err(error) => panic!("{error} after {lines:?}"),
            }
        }
    }
}

/// The header and the body of a form with files.
pub fn form(files: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, content) in files {
        let head = format!(
            "--limit\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend(head.bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--limit--\r\n");
    (
        "Content-Type: multipart/form-data; boundary=limit\r\n".into(),
        body,
    )
}

/// Closes the writing half of a connection.
pub fn end_of(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).unwrap();
}
