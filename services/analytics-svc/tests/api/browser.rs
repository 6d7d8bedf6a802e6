//! What a browser does, without one: a request over HTTP/1.1, and its answer.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::app::WAIT_MAX;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in small letters.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

pub(crate) struct Stream {
    socket: TcpStream,
    arrived: String,
}

/// Asks for a path, with more lines of the head.
pub(crate) async fn get(dashboard: &str, path: &str, lines: &[&str]) -> Answer {
    ask(dashboard, "GET", path, lines, "").await
}

/// Posts a form.
pub(crate) async fn post(dashboard: &str, path: &str, lines: &[&str], form: &str) -> Answer {
    let kind = ["content-type: application/x-www-form-urlencoded"];
    ask(dashboard, "POST", path, &[&kind, lines].concat(), form).await
}

async fn ask(dashboard: &str, method: &str, path: &str, lines: &[&str], body: &str) -> Answer {
    let mut socket = send(dashboard, method, path, lines, body).await;
    let mut bytes = Vec::new();
    timeout(WAIT_MAX, socket.read_to_end(&mut bytes)).await.unwrap().unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Answer { status, headers, body: bytes.split_off(end + 4) }
}

/// Follows server-sent events.
pub(crate) async fn follow(dashboard: &str, path: &str, lines: &[&str]) -> Stream {
    let socket = send(dashboard, "GET", path, lines, "").await;
    Stream { socket, arrived: String::new() }
}

async fn send(dashboard: &str, method: &str, path: &str, lines: &[&str], body: &str) -> TcpStream {
    let host = dashboard.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let named = lines.iter().any(|line| line.starts_with("host:"));
    let host = if named { String::new() } else { format!("host: {host}\r\n") };
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\n{host}connection: close\r\ncontent-length: {length}\r\n{lines}\r\n{body}"
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.header("content-type"), "application/json", "{self:?}");
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn unzipped(&self) -> Vec<u8> {
        assert_eq!(self.header("content-encoding"), "gzip");
        let mut plain = Vec::new();
        GzDecoder::new(self.body.as_slice()).read_to_end(&mut plain).unwrap();
        plain
    }
}

impl Stream {
    /// The data of the next event of that name, whatever comes before it.
    pub(crate) async fn next(&mut self, name: &str) -> Value {
        let begin = format!("event: {name}\ndata: ");
        loop {
            if let Some(at) = self.arrived.find(&begin) {
                let rest = &self.arrived[at + begin.len()..];
                if let Some(end) = rest.find("\n\n") {
                    let data = serde_json::from_str(&rest[..end]).unwrap();
                    self.arrived = rest[end..].to_owned();
                    return data;
                }
            }
            assert!(self.more().await, "the stream has ended: {}", self.arrived);
        }
    }

    /// Fails unless it ends.
    pub(crate) async fn ends(mut self) {
        let ending = async { while self.more().await {} };
        timeout(WAIT_MAX, ending).await.unwrap();
    }

    /// False at the end.
    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 64 << 10];
        let length = timeout(WAIT_MAX, self.socket.read(&mut bytes)).await.unwrap().unwrap_or(0);
        self.arrived.push_str(std::str::from_utf8(&bytes[..length]).unwrap());
        length > 0
    }

    /// What the head says.
    pub(crate) async fn status(&mut self) -> u16 {
        while !self.arrived.contains("\r\n\r\n") {
            assert!(self.more().await);
        }
        self.arrived.split(' ').nth(1).unwrap().parse().unwrap()
    }
}
